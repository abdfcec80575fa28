"""A run as people watch it."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

from rich.console import Console

from common.operations.runs import Run, RunEvent
from services.local.progress import main_metric, print_news, steps_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _event(kind: str, state: str = "done", cause: RunEvent | None = None, **data: Any) -> RunEvent:
    return RunEvent(
        id=uuid4(), type=kind, source="", subject="birds", cause=cause.id if cause else None, data=data, state=state,
        time=NOW, due_at=NOW, started_at=NOW, ended_at=NOW, waited_s=0.0, seconds=1.25, attempts=1, worker=None,
        error="the disk is full" if state in {"dead", "retrying"} else None,
    )  # fmt: skip


def _run(*events: RunEvent) -> Run:
    return Run(
        id=UUID(int=1), dataset="birds", state="running", outcome=None, reason=None, requested_by="it", urgent=True,
        snapshot=1, started_at=NOW, ended_at=None, seconds=1.0, events=list(events),
    )  # fmt: skip


def test_a_step_says_what_came_of_it() -> None:
    """Rows read, rows kept, accuracy: from the events that a step caused."""
    asked = _event("ingest.requested")
    read = _event("dataset.ingested", cause=asked, rows=344, snapshot=3)
    cleaned = _event("dataset.preprocessed", cause=read, rows_kept=333, rows_dropped={"null": 11})
    fit = _event("training.requested", cause=cleaned, family="svc", slice=0, slices=1)
    trained = _event("model.trained", cause=fit, model="svc", version=2, metrics={"accuracy": 0.98765})
    steps = steps_of(_run(asked, read, cleaned, fit, trained))
    assert [(step.label, step.detail) for step in steps] == [
        ("ingest", "344 rows, snapshot 3"),
        ("preprocess", "333 rows kept, 11 dropped"),
        ("train svc", "svc 2: accuracy 0.9877"),
    ]


def test_a_slice_of_a_grid_is_numbered_from_one() -> None:
    """The third of four slices reads 3/4."""
    (step,) = steps_of(_run(_event("training.requested", "running", family="svc", slice=2, slices=4)))
    assert step.label == "train svc 3/4"


def test_a_failed_step_says_why() -> None:
    """A dead letter's reason stands in its line."""
    (step,) = steps_of(_run(_event("ingest.requested", "dead")))
    assert step.detail == "the disk is full"


def test_a_rejected_ingest_gets_no_tick() -> None:
    """The event was handled, but its data did not pass: the line says so with a cross."""
    asked = _event("ingest.requested")
    output = StringIO()
    run = _run(asked, _event("dataset.rejected", cause=asked, reason="column mass missing"))
    print_news(Console(file=output), run, set())
    assert output.getvalue() == "  ✗ birds: ingest  rejected: column mass missing  1.2 s\n"


def test_without_a_terminal_each_outcome_is_one_line_once() -> None:
    """A log of the first run has a line per step, however often the run is looked at."""
    asked = _event("ingest.requested")
    run = _run(
        asked, _event("dataset.unchanged", cause=asked, digest="d"), _event("training.requested", "running", family="f")
    )
    output = StringIO()
    told: set[tuple[UUID, str]] = set()
    for _ in range(2):
        print_news(Console(file=output), run, told)
    assert output.getvalue() == "  ✓ birds: ingest  nothing new since the last snapshot  1.2 s\n"


def test_the_main_metric_is_the_one_people_ask_for() -> None:
    """Accuracy for classes, r2 for numbers, else the first there is."""
    assert main_metric({"f1": 0.5, "accuracy": 0.75}) == "accuracy 0.7500"
    assert main_metric({"rmse": 3.0, "r2": 0.5}) == "r2 0.5000"
    assert main_metric({"rmse": 3.0}) == "rmse 3.0000"
    assert main_metric({}) == "no metric nan"
