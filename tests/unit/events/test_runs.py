"""How a run ends."""

import pytest

from common.events.runs import RunEvent, end_of


def made(kind: str, subject: str = "d", **fields: object) -> RunEvent:
    """An event of a run, handled unless said otherwise."""
    values: dict[str, object] = {"open": False, "dead": False, "result": "handled", "error": None, "reason": None}
    return RunEvent(type=kind, subject=subject, **(values | fields))  # type: ignore[arg-type] # one helper for all fields


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ([made("ingest.requested"), made("dataset.unchanged")], ("completed", "unchanged")),
        ([made("ingest.requested"), made("dataset.rejected", reason="odd rows")], ("failed", "rejected")),
        ([made("training.requested"), made("model.published", "forest")], ("completed", "trained")),
        ([made("model.published", "forest"), made("model.held", "svc", reason="worse")], ("completed", "held")),
        ([made("dataset.ingested", result="superseded")], ("superseded", "superseded")),
        ([made("model.published", "forest"), made("training.requested", dead=True)], ("failed", "failed")),
        ([made("ingest.requested")], ("completed", "done")),
    ],
)
def test_the_events_decide(events: list[RunEvent], end: tuple[str, str]) -> None:
    """Each kind of run has its state and outcome."""
    found = end_of(events)
    assert found is not None
    assert (found.state, found.outcome) == end


def test_a_run_with_an_open_event_goes_on() -> None:
    """One open event keeps its run running, also beside a dead letter."""
    assert end_of([made("training.requested", open=True), made("training.requested", dead=True)]) is None


def test_a_dead_letter_names_itself_in_the_reason() -> None:
    """The reason says which event of what failed, and why."""
    end = end_of([made("training.requested", "d.svc", dead=True, error="the disk is full")])
    assert end is not None
    assert end.reason == "training.requested of d.svc failed: the disk is full"


def test_what_was_published_before_is_named_in_a_failed_run() -> None:
    """A family's failure does not hide the others' models."""
    end = end_of([made("model.published", "forest"), made("training.requested", "svc", dead=True)])
    assert end is not None
    assert end.models == ["forest"]
