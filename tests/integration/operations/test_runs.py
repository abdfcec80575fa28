"""Asking for runs, and looking at them."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from common.database.engine import database_engine
from common.errors import ConflictError, NotFoundError
from common.events import store
from common.events.model import DatasetIngested, DatasetPreprocessed, Event, IngestRequested
from common.operations import datasets, events, runs
from common.settings import Settings


@pytest.fixture
async def engine(postgres: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine of this test."""
    async with database_engine(postgres, "test") as made:
        yield made


async def scheduled(engine: AsyncEngine, dataset: str = "d") -> IngestRequested:
    """A run as the schedule begins it."""
    event = IngestRequested.first(subject=dataset, source="rookery/beat", dataset=dataset)
    async with engine.begin() as connection:
        await store.start_run(connection, event, dataset=dataset, requested_by="schedule", urgent=False)
    return event


async def test_asking_begins_a_run(engine: AsyncEngine) -> None:
    """A person's run begins with a request to ingest, and is urgent."""
    async with engine.begin() as connection:
        run_id, due = await runs.trigger(connection, "d", requested_by="command line")
        run = await runs.get_run(connection, run_id)
    assert [event.type for event in due] == ["ingest.requested"]
    assert (run.state, run.urgent, run.requested_by) == ("running", True, "command line")
    assert [event.state for event in run.events] == ["queued"]


async def test_asking_joins_the_run_under_way(engine: AsyncEngine) -> None:
    """Without force, the schedule's run becomes urgent and what of it waits is due now."""
    first = await scheduled(engine)
    async with engine.begin() as connection:
        waiting = DatasetIngested.caused_by(first, dataset="d", snapshot=1, digest="x", rows=1)
        await store.insert_events(connection, [waiting], pace_s={})
        await connection.execute(text("UPDATE rookery.events SET due_at = due_at + interval '1 h'"))
        run_id, due = await runs.trigger(connection, "d", requested_by="console")
    assert run_id == first.id
    assert {event.id for event in due} == {first.id, waiting.id}


async def test_the_run_that_is_furthest_is_joined(engine: AsyncEngine) -> None:
    """An idle tick does not hide the run that trains; all that is under way becomes urgent."""
    first = await scheduled(engine)
    async with engine.begin() as connection:
        waiting = DatasetIngested.caused_by(first, dataset="d", snapshot=1, digest="x", rows=1)
        await store.insert_events(connection, [waiting], pace_s={})
    tick = await scheduled(engine)
    async with engine.begin() as connection:
        run_id, _ = await runs.trigger(connection, "d", requested_by="console")
        assert run_id == first.id
        assert (await runs.get_run(connection, tick.id)).urgent


async def test_force_begins_a_run_of_its_own(engine: AsyncEngine) -> None:
    """With force there is a new run whatever is under way."""
    first = await scheduled(engine)
    async with engine.begin() as connection:
        run_id, due = await runs.trigger(connection, "d", requested_by="console", force=True)
    assert run_id != first.id
    (event,) = due
    assert isinstance(event, IngestRequested)
    assert event.data.force


@pytest.mark.parametrize(("stage", "kind"), [("preprocess", DatasetIngested), ("train", DatasetPreprocessed)])
async def test_a_run_may_begin_at_a_later_stage(engine: AsyncEngine, stage: runs.Stage, kind: type[Event]) -> None:
    """From a stage on, the run begins with the newest snapshot that the stage can use."""
    async with engine.begin() as connection:
        with pytest.raises(NotFoundError, match="no snapshot"):
            await runs.trigger(connection, "d", requested_by="console", stage=stage)
        await connection.execute(
            text(
                "INSERT INTO rookery.snapshots"
                " (dataset, number, state, digest, rows, rows_kept, rows_dropped, preprocessed_at)"
                " VALUES ('d', 4, 'ready', 'x', 10, 9, '{\"a is missing\": 1}', clock_timestamp())"
            )
        )
        _, (event,) = await runs.trigger(connection, "d", requested_by="console", stage=stage)
    assert isinstance(event, kind)
    assert event.data.snapshot == 4


async def test_runs_are_listed_newest_first_and_by_state(engine: AsyncEngine) -> None:
    """A list of runs can be narrowed by data set, state and outcome."""
    for dataset in ("a", "b"):
        await scheduled(engine, dataset)
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE rookery.runs SET state = 'completed', outcome = 'unchanged', ended_at = clock_timestamp()"
                " WHERE dataset = 'a'"
            )
        )
        everything = await runs.list_runs(connection)
        assert [run.dataset for run in everything] == ["b", "a"]
        assert [run.dataset for run in await runs.list_runs(connection, with_unchanged=False)] == ["b"]
        assert [run.dataset for run in await runs.list_runs(connection, state="unchanged")] == ["a"]
        assert [run.dataset for run in await runs.list_runs(connection, dataset="b", state="running")] == ["b"]


async def test_a_run_is_found_by_the_end_of_its_id(engine: AsyncEngine) -> None:
    """The last six digits name a run; an unknown end is an error that says what to give."""
    event = await scheduled(engine)
    async with engine.begin() as connection:
        assert await runs.find_run(connection, str(event.id)[-6:]) == event.id
        with pytest.raises(NotFoundError, match="last six digits"):
            await runs.find_run(connection, "zzz")


async def kill(engine: AsyncEngine, event: Event) -> None:
    """Makes an event a dead letter, and ends its run by it."""
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE rookery.events SET dead_at = clock_timestamp(), attempts = 5, error = 'odd' WHERE id = :id"),
            {"id": event.id},
        )
        await store.end_run(connection, event.correlationid, cause=event.id)


async def test_a_dead_letter_is_retried(engine: AsyncEngine) -> None:
    """A retry gives new attempts and brings the run back to running."""
    event = await scheduled(engine)
    await kill(engine, event)
    async with engine.begin() as connection:
        assert [dead.id for dead in await events.list_events(connection, dead=True)] == [event.id]
        assert (await runs.get_run(connection, event.id)).state == "failed"
        again = await events.retry_event(connection, event.id)
        assert again.id == event.id
        assert (await runs.get_run(connection, event.id)).state == "running"
        assert await events.list_events(connection, dead=True) == []
        with pytest.raises(ConflictError, match="no dead letter"):
            await events.retry_event(connection, event.id)


async def test_a_dead_letter_is_discarded(engine: AsyncEngine) -> None:
    """A discarded letter leaves the list, says who discarded it, and its run stays failed."""
    event = await scheduled(engine)
    await kill(engine, event)
    async with engine.begin() as connection:
        await events.discard_event(connection, event.id, by="ada")
        found = await events.get_event(connection, event.id)
        assert found.state == "discarded"
        assert found.error is not None
        assert found.error.endswith("discarded by ada")
        assert (await runs.get_run(connection, event.id)).state == "failed"


async def test_pausing_is_remembered_with_its_reason(engine: AsyncEngine) -> None:
    """A paused data set says who paused it and why, until it is resumed."""
    async with engine.begin() as connection:
        await datasets.pause(connection, "d", by="ada", reason="new columns")
        row = (await connection.execute(text("SELECT * FROM rookery.datasets"))).one()
        assert (row.paused, row.paused_by, row.paused_reason) == (True, "ada", "new columns")
        await datasets.resume(connection, "d")
        row = (await connection.execute(text("SELECT * FROM rookery.datasets"))).one()
        assert (row.paused, row.paused_by) == (False, None)
