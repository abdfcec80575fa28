"""The table that a run prints, and the file that it leaves."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path

import msgspec

from tests.faults.outcome import Outcome


def line(outcome: Outcome) -> str:
    """One row for people: what, how it ended, its figures; below it what was missed."""
    shown = ", ".join(f"{name} {value}" for name, value in outcome.figures.items() if value not in {None, ""})
    found = sum(outcome.findings.get(name, 0) for name in ("lost", "stuck")), outcome.findings.get("twice", 0)
    told = [f"{outcome.row:<44} {outcome.verdict:<11} {outcome.seconds:>6.1f} s  lost {found[0]}, twice {found[1]}"]
    if outcome.not_run:
        told = [f"{outcome.row:<44} {outcome.verdict}"]
    if shown:
        told.append(f"    {shown}")
    told += [f"    saw: {sentence}" for sentence in outcome.saw]
    told += [f"    missed: {sentence}" for sentence in outcome.missed]
    return "\n".join(told)


def summary(outcomes: Sequence[Outcome]) -> str:
    """The sums over all rows that are no controls."""
    real = [one for one in outcomes if not one.is_control and not one.not_run]
    sums = {
        name: sum(one.findings.get(name, 0) for one in real)
        for name in ("lost", "twice", "unasked", "versions", "stuck", "failed", "unanswered", "unverified")
    }
    sums["workers dead for good"] = sum(int(one.figures.get("workers dead for good") or 0) for one in real)
    controls = [one for one in outcomes if one.is_control]
    caught = sum(one.passed for one in controls)
    missed = [one.row for one in outcomes if not one.passed]
    words = ", ".join(f"{name} {count}" for name, count in sums.items())
    return f"{len(real)} rows: {words}; {caught} of {len(controls)} negative controls caught" + (
        f"\nnot as it should be: {'; '.join(missed)}" if missed else ""
    )


def write(path: Path, outcomes: Sequence[Outcome], *, long: bool) -> None:
    """Writes all rows with their figures, and where they were measured."""
    body = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "long": long,
        "machine": {"cores": cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "rows": [msgspec.to_builtins(one) | {"verdict": one.verdict} for one in outcomes],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(body)) + b"\n")
