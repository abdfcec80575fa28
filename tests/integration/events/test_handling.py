"""One event's way through claim, handler, fenced commit and publishing."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from common.errors import DataError, RetryableError
from common.events.model import (
    DatasetIngested,
    DatasetPreprocessed,
    Event,
    IngestRequested,
    RunCompleted,
    TrainingRequested,
)
from common.events.owner import this_process
from common.events.unit import UnitOfWork
from tests.integration.events.conftest import Bench

DEAD = msgspec.structs.replace(this_process(), pid=2**22 + 1)


async def test_a_request_passes_along_the_chain_and_its_run_completes(bench: Bench) -> None:
    """One request ends as one completed run with each event handled once."""
    event = await bench.ask()
    ends = await bench.drain()
    assert ends == ["handled"] * 7  # request, ingested, preprocessed, two trainings, two reports
    assert await bench.run_state(event.id) == ("completed", "trained")
    assert not await bench.rows("SELECT id FROM rookery.events WHERE handled_at IS NULL")
    streamed = await bench.streamed()
    assert streamed.count("model.published") == 2
    assert streamed.count("run.completed") == 1


async def test_reports_wait_until_the_run_has_ended(bench: Bench) -> None:
    """What is no part of the run is not due before the run's last fit has ended."""
    await bench.ask()
    for service in ("ingest", "preprocess", "train"):
        taken = await bench.take(service)
        assert taken
        await bench.processor(service).process(taken)
    first = await bench.take("train")
    assert first
    await bench.processor("train").process(first)
    (row,) = await bench.rows("SELECT due_at = 'infinity' AS held FROM rookery.events WHERE type = 'model.published'")
    assert row.held
    last = await bench.take("train")
    assert last
    await bench.processor("train").process(last)
    assert len(await bench.queued("train")) == 2


async def test_two_families_that_finish_at_once_complete_the_run_once(bench: Bench) -> None:
    """The run's row is locked before its open events are counted, so exactly one of them ends the run."""
    for _ in range(5):
        event = await bench.ask()
        for service in ("ingest", "preprocess", "train"):
            taken = await bench.take(service)
            assert taken
            await bench.processor(service).process(taken)
        both = [await bench.take("train"), await bench.take("train")]
        await asyncio.gather(*(bench.processor("train").process(one) for one in both if one))
        rows = await bench.rows(
            "SELECT 1 FROM rookery.events WHERE correlationid = :run AND type = :type",
            run=event.id,
            type=RunCompleted.type,
        )
        assert len(rows) == 1
        await bench.drain()


async def test_a_redelivered_event_is_dropped(bench: Bench) -> None:
    """An event delivered three times has one effect."""
    event = await bench.ask()
    processor = bench.processor("ingest")
    ends = [await processor.process(event.id) for _ in range(3)]
    assert ends == ["handled", "dropped: it is handled", "dropped: it is handled"]
    assert len(await bench.rows("SELECT 1 FROM rookery.events WHERE type = 'dataset.ingested'")) == 1


async def test_an_unknown_event_is_dropped(bench: Bench) -> None:
    """A message whose event is not in PostgreSQL has no effect."""
    assert await bench.processor("ingest").process(uuid4()) == "dropped: there is no such event"


async def test_an_event_that_somebody_works_on_is_dropped(bench: Bench) -> None:
    """A live lease keeps a second worker away."""
    event = await bench.ask()
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(_event: IngestRequested, _unit: UnitOfWork) -> Sequence[Event]:
        entered.set()
        await leave.wait()
        return []

    working = asyncio.create_task(bench.processor("ingest", {IngestRequested: slow}).process(event.id))
    await entered.wait()
    assert await bench.processor("ingest").process(event.id) == "dropped: somebody works on it"
    leave.set()
    assert await working == "handled"


async def test_a_holder_whose_lease_was_taken_over_keeps_nothing(bench: Bench) -> None:
    """The fence refuses the commit of an attempt that was overtaken, and what it wrote is rolled back."""
    event = await bench.ask()
    entered, leave = asyncio.Event(), asyncio.Event()

    async def late(event: IngestRequested, unit: UnitOfWork) -> Sequence[Event]:
        entered.set()
        await leave.wait()
        await unit.connection()
        return [DatasetIngested.caused_by(event, dataset="d", snapshot=99, digest="late", rows=1)]

    working = asyncio.create_task(bench.processor("ingest", {IngestRequested: late}).process(event.id))
    await entered.wait()
    await bench.write("UPDATE rookery.events SET claimed_until = clock_timestamp() - interval '1 s'")
    assert await bench.processor("ingest").process(event.id) == "handled"
    leave.set()
    assert await working == "lease lost"
    (row,) = await bench.rows("SELECT data->>'digest' AS digest FROM rookery.events WHERE type = 'dataset.ingested'")
    assert row.digest == "d"


async def test_the_lease_of_a_dead_process_of_this_host_is_no_obstacle(bench: Bench) -> None:
    """A kill costs a moment and not a lease: the next delivery takes the event over at once."""
    event = await bench.ask()
    await bench.write(
        "UPDATE rookery.events SET claim_id = gen_random_uuid(), owner = :owner, claimed_at = clock_timestamp(),"
        " claimed_until = clock_timestamp() + interval '1 h', attempts = 1",
        owner=str(DEAD),
    )
    assert await bench.processor("ingest").process(event.id) == "handled"


async def test_a_retryable_failure_is_tried_again(bench: Bench) -> None:
    """The next attempt's time stands in PostgreSQL, and the sweep sends the event again when it has come."""
    event = await bench.ask()
    await bench.take("ingest")
    failures = iter([RetryableError("not now"), None])

    async def flaky(_event: IngestRequested, _unit: UnitOfWork) -> Sequence[Event]:
        failure = next(failures)
        if failure:
            raise failure
        return []

    processor = bench.processor("ingest", {IngestRequested: flaky})
    assert await processor.process(event.id) == "to be tried again"
    await bench.sweep()
    assert await bench.queued("ingest") == [event.id]
    assert await processor.process(event.id) == "handled"
    assert await bench.run_state(event.id) == ("completed", "done")


@pytest.mark.parametrize("error", [DataError("rows are odd"), ValueError("a defect")])
async def test_a_permanent_failure_is_a_dead_letter_at_once(bench: Bench, error: Exception) -> None:
    """What another attempt would meet again is given up after one, and fails its run with the reason."""
    event = await bench.ask()

    async def broken(_event: IngestRequested, _unit: UnitOfWork) -> Sequence[Event]:
        raise error

    assert await bench.processor("ingest", {IngestRequested: broken}).process(event.id) == "failed"
    (run,) = await bench.rows("SELECT state, reason FROM rookery.runs")
    assert run.state == "failed"
    assert str(error) in run.reason
    assert (await bench.streamed())[-1] == "run.failed"


async def test_the_last_attempt_is_a_dead_letter(bench: Bench) -> None:
    """An event that fails again and again ends among the dead letters, with one entry per attempt."""
    event = await bench.ask()

    async def away(_event: IngestRequested, _unit: UnitOfWork) -> Sequence[Event]:
        raise RetryableError("still not")

    processor = bench.processor("ingest", {IngestRequested: away})
    ends = []
    for _ in range(3):
        ends.append(await processor.process(event.id))
        await asyncio.sleep(0.005)
    assert ends == ["to be tried again", "to be tried again", "failed"]
    (row,) = await bench.rows("SELECT errors, dead_at FROM rookery.events WHERE id = :id", id=event.id)
    assert [entry["attempt"] for entry in row.errors] == [1, 2, 3]
    assert row.dead_at


async def test_an_event_that_kills_its_worker_is_parked_too(bench: Bench) -> None:
    """Attempts count before the work, so an event whose attempts never come back is given up as well."""
    event = await bench.ask()
    for _ in range(3):
        await bench.write(
            "UPDATE rookery.events SET claim_id = gen_random_uuid(), owner = :owner, claimed_at = clock_timestamp(),"
            " claimed_until = clock_timestamp() + interval '1 h', attempts = attempts + 1",
            owner=str(DEAD),
        )
        await bench.sweep()
    (row,) = await bench.rows("SELECT dead_at, error FROM rookery.events WHERE id = :id", id=event.id)
    assert row.dead_at
    assert "gave up after 3 attempts" in row.error
    assert await bench.run_state(event.id) == ("failed", "failed")


async def test_a_handlers_writes_and_its_events_are_one_transaction(bench: Bench) -> None:
    """A handler that fails after it wrote has written nothing and emitted nothing."""
    event = await bench.ask()

    async def half(_event: IngestRequested, unit: UnitOfWork) -> Sequence[Event]:
        connection = await unit.connection()
        await connection.exec_driver_sql("INSERT INTO rookery.datasets (name) VALUES ('half')")
        raise DataError("half way")

    await bench.processor("ingest", {IngestRequested: half}).process(event.id)
    assert not await bench.rows("SELECT 1 FROM rookery.datasets")


async def test_callbacks_run_after_the_commit_and_may_fail(bench: Bench) -> None:
    """What is done after the commit is best effort: its failure leaves the event handled."""
    event = await bench.ask()
    seen: list[Any] = []

    async def handler(event: IngestRequested, unit: UnitOfWork) -> Sequence[Event]:
        async def callback() -> None:
            seen.extend(
                await bench.rows("SELECT 1 FROM rookery.events WHERE id = :id AND handled_at IS NOT NULL", id=event.id)
            )
            raise RuntimeError("after all")

        unit.after_commit(callback)
        return []

    assert await bench.processor("ingest", {IngestRequested: handler}).process(event.id) == "handled"
    assert len(seen) == 1


async def test_paced_events_wait_and_urgent_ones_do_not(bench: Bench) -> None:
    """A minimum interval holds an event back unless a person asked for the run."""

    async def paced(event: IngestRequested, unit: UnitOfWork) -> Sequence[Event]:
        ingested = DatasetIngested.caused_by(event, dataset="d", snapshot=1, digest="d", rows=1)
        unit.pace(ingested, 3600)
        return [ingested]

    handlers = {IngestRequested: paced}
    for urgent, waiting in ((False, 0), (False, 1), (True, 0)):
        event = await bench.ask(urgent=urgent)
        await bench.processor("ingest", handlers).process(event.id)
        rows = await bench.rows(
            "SELECT id FROM rookery.events WHERE correlationid = :run AND due_at > clock_timestamp()", run=event.id
        )
        assert len(rows) == waiting
        for queued in await bench.queued("preprocess"):
            await bench.processor("preprocess").process(queued)


async def test_a_newer_snapshot_ends_what_waits_for_older_ones(bench: Bench) -> None:
    """Waiting events of older snapshots are superseded, and so are their runs; nothing queues without bound."""
    old = await bench.ask()
    await bench.processor("ingest").process(old.id)
    new = await bench.ask()

    async def newer(event: IngestRequested, unit: UnitOfWork) -> Sequence[Event]:
        await unit.supersede("d", 1)
        return [DatasetIngested.caused_by(event, dataset="d", snapshot=2, digest="e", rows=1)]

    await bench.processor("ingest", {IngestRequested: newer}).process(new.id)
    assert await bench.run_state(old.id) == ("superseded", "superseded")
    assert "run.superseded" in await bench.streamed()
    await bench.drain()
    assert await bench.run_state(new.id) == ("completed", "trained")
    kinds = {TrainingRequested, DatasetPreprocessed}
    assert kinds <= bench.subscribed()
