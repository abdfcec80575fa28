"""The checker finds what it is there to find, and nothing in a good history."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.faults.checker import Findings, check
from tests.faults.history import (
    Acknowledged,
    Asked,
    DeadLetter,
    Handled,
    History,
    Record,
    Refused,
    Released,
    Run,
    Served,
    read_history,
)

STEPS = (("ingest.requested", ""), ("training.requested", "forest"))


def effect(event: str, kind: str, *, run: str = "r1", at: float = 2.0, version: int | None = None) -> Handled:
    """An effect of an event."""
    subject = "forest" if version else "d"
    return Handled(
        event=event, type=kind, subject=subject, dataset="d", run=run, at=at, began_at=at - 0.1, version=version
    )


def ended(run: str = "r1", *, state: str = "completed", at: float | None = 3.0, by: str = "harness") -> Run:
    """A run as PostgreSQL shows it."""
    return Run(run=run, dataset="d", requested_by=by, state=state, reason="", at=1.0, ended_at=at)


GOOD: tuple[Record, ...] = (
    Asked(run="r1", at=1.0),
    Acknowledged(run="r1", at=1.1),
    effect("e1", "ingest.requested"),
    effect("e2", "training.requested", version=1),
    ended(),
    Released(model="m", version=1, at=5.0),
    Served(status=200, at=6.0, seconds=0.01, model="m", version=1),
)


def found(records: Sequence[Record]) -> set[str]:
    """The names of what was found."""
    counts = check(records, STEPS).counts()
    return {name for name, count in counts.items() if count}


def without(record: Record) -> list[Record]:
    """The good history without one of its records."""
    return [one for one in GOOD if one != record]


def test_a_good_history_has_no_findings() -> None:
    """Each request has its effects once, versions rise, the run ended."""
    assert check(GOOD, STEPS) == Findings()
    assert check(GOOD, STEPS).clean


@pytest.mark.parametrize("missing", [GOOD[2], GOOD[3]])
def test_a_missing_effect_of_an_acknowledged_request_is_a_loss(missing: Record) -> None:
    """Every step must have left its trace."""
    assert found(without(missing)) == {"lost"}


def test_a_request_that_was_never_acknowledged_may_have_no_effect() -> None:
    """Nobody was promised anything."""
    assert found([*GOOD, Asked(run="r2", at=1.0)]) == set()


def test_a_request_whose_answer_got_lost_may_have_its_effect() -> None:
    """It was asked for; that the answer did not arrive takes nothing back."""
    assert found(without(GOOD[1])) == set()


def test_two_effects_of_one_event_are_one_too_many() -> None:
    """An event is handled once, whatever is delivered."""
    assert found([*GOOD, effect("e1", "ingest.requested", at=2.5)]) == {"twice"}


def test_two_events_for_the_same_step_are_one_too_many() -> None:
    """A step that was emitted twice is found also where each event was handled once."""
    assert found([*GOOD, effect("e9", "ingest.requested")]) == {"twice"}


def test_an_effect_that_nobody_asked_for_is_found() -> None:
    """No effect without a request."""
    assert found([*GOOD, effect("e7", "ingest.requested", run="r9")]) == {"unasked"}


def test_the_schedule_asks_too() -> None:
    """A run of the schedule needs no request of a client, but all of its effects."""
    scheduled: list[Record] = [ended("r2", by="schedule"), effect("e3", "ingest.requested", run="r2")]
    assert found([*GOOD, *scheduled]) == {"lost"}
    assert found([*GOOD, *scheduled, effect("e4", "training.requested", run="r2", at=2.4, version=2)]) == set()


@pytest.mark.parametrize("version", [1, 0])
def test_versions_that_do_not_rise_are_found(version: int) -> None:
    """Neither the same version again nor an older one may follow."""
    later = Handled(
        event="e4", type="training.requested", subject="forest", dataset="d", run="r2", at=4.0, began_at=3.9,
        version=version,
    )  # fmt: skip
    more: list[Record] = [Asked(run="r2", at=3.0), later]
    assert found([*GOOD, *more]) == {"versions"}


def test_a_run_that_does_not_end_is_stuck() -> None:
    """A lost run cannot stay running unseen."""
    assert found([*without(GOOD[4]), ended(at=None, state="running")]) == {"stuck"}


def test_a_dead_letter_is_a_failure() -> None:
    """What was given up is no success, though it is not lost."""
    assert found([*GOOD, DeadLetter(event="e3", type="ingest.requested", error="gave up")]) == {"failed"}


def test_an_answer_that_is_not_2xx_is_found() -> None:
    """A client that was not answered is seen; one that got 0 had no answer at all."""
    for status in (500, 503, 0, 404):
        assert found([*GOOD, Served(status=status, at=7.0, seconds=0.1)]) == {"unanswered"}


@pytest.mark.parametrize(
    "answer",
    [
        Served(status=200, at=6.0, seconds=0.1, model="m", version=2),
        Served(status=200, at=4.9, seconds=0.1, model="m", version=1),
        Served(status=200, at=6.0, seconds=0.1, model="m", version=1, good=False),
    ],
)
def test_an_answer_of_a_version_that_was_not_ready_is_found(answer: Served) -> None:
    """Unknown, too early, or mixed with another version's: none of them was verified and published first."""
    assert found([*GOOD, answer]) == {"unverified"}


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    """JSON lines hold all that a judgement needs."""
    path = tmp_path / "history.jsonl"
    history = History(path)
    for record in (*GOOD, Refused(reason="away", at=1.0)):
        history.note(record)
    history.close()
    assert list(read_history(path.read_bytes().splitlines())) == history.records
    assert len(history.of(Handled)) == 2
    assert msgspec.json.decode(path.read_bytes().splitlines()[0])["what"] == "asked"
