"""The table that a run prints, and the file that it leaves."""

import platform
import statistics
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


# What a whole run counts: what was done, the figure that counts it, and how often it is to be done at least.
DONE = (
    ("kill -9 of a process", "kills", 20),
    ("Redis restarts with a task in flight", "restarts with a task in flight", 10),
    ("FLUSHALL", "emptied", 3),
    ("Postgres restarts", "Postgres restarts", 5),
    ("crash points", "crash points", 48),
    ("duplicates delivered", "duplicates", 500),
    ("garbage entries", "entries", 200),
    ("broken or hostile versions", "bundles", 200),
    ("reloads", "versions reloaded", 100),
)
# What must be nought, by the checker's findings.
NEVER = (
    ("lost", ("lost",)),
    ("twice", ("twice",)),
    ("runs stuck or failed", ("stuck", "failed")),
    ("predictions not 2xx", ("unanswered",)),
    ("answers of a version that was not whole", ("unverified",)),
    ("effects nobody asked for", ("unasked",)),
    ("models whose versions do not rise", ("versions",)),
)
# The same, by a figure of the rows.
NEVER_FIGURES = ("workers dead for good",)
NOT_REACHED = "NOT REACHED"
WIDTH = 42


def summary(outcomes: Sequence[Outcome], *, whole: bool = True) -> str:
    """What was done, what came of it over all rows that are no controls, and which rows are not as they should be.

    Counts are held to their marks where all rows were run, that is the `whole` table.
    """
    real = [one for one in outcomes if not one.is_control and not one.not_run]
    controls = [one for one in outcomes if one.is_control]
    told = [f"{'done':<{WIDTH}}{'times':>8}  at least"]
    for what, figure, least in DONE:
        rows = [one for one in real if figure in one.figures]
        count = sum(int(one.figures[figure] or 0) for one in rows)
        told += [f"{what:<{WIDTH}}{count:>8}  {least}" + _mark(count >= least or not whole)] if rows else []
    told.append(f"{'found':<{WIDTH}}{'times':>8}  exactly")
    never = {what: sum(one.findings.get(name, 0) for one in real for name in names) for what, names in NEVER}
    never |= {name: sum(int(one.figures.get(name) or 0) for one in real) for name in NEVER_FIGURES}
    told += [f"{what:<{WIDTH}}{count:>8}  0" + _mark(count == 0) for what, count in never.items()]
    if controls:
        caught = sum(one.passed for one in controls)
        told.append(
            f"{'negative controls caught':<{WIDTH}}{caught:>8}  {len(controls)}" + _mark(caught == len(controls))
        )
    recoveries = [value for one in real for value in one.recoveries_s]
    if recoveries:
        told.append(
            f"working again after a fault: median {statistics.median(recoveries):.2f} s, worst {max(recoveries):.2f} s"
            f" ({len(recoveries)} faults)"
        )
    told += [f"not run: {one.row}: {one.not_run}" for one in outcomes if one.not_run]
    missed = [one.row for one in outcomes if not one.passed]
    told.append(f"not as it should be: {'; '.join(missed)}" if missed else f"all {len(real)} rows as they should be")
    return "\n".join(told)


def _mark(reached: bool) -> str:
    return "" if reached else f"  {NOT_REACHED}"


def write(path: Path, outcomes: Sequence[Outcome], *, long: bool) -> None:
    """Writes all rows with their figures, and where they were measured."""
    body = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "long": long,
        "machine": {"cores": cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "summary": summary(outcomes).splitlines(),
        "rows": [msgspec.to_builtins(one) | {"verdict": one.verdict} for one in outcomes],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(body)) + b"\n")
