"""Redis may lose everything: the sweep sends what is due and not on its way."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import select

from common.database.tables import events
from common.events import leases, store
from common.events.broker import make_app
from common.events.model import IngestRequested
from common.events.owner import this_process
from common.events.publisher import Publisher, PublishError
from common.events.sweep import Swept, forget_overtaken, sweep_once
from tests.integration.events.conftest import Bench


async def test_an_emptied_redis_loses_nothing(bench: Bench) -> None:
    """After FLUSHALL all that was waiting is sent again, and the chain completes."""
    asked = [await bench.ask(f"d{number}") for number in range(20)]
    await bench.redis.flushall()
    assert (await bench.sweep()).published == 20
    await bench.drain()
    for event in asked:
        assert await bench.run_state(event.id) == ("completed", "trained")


async def test_an_emptied_redis_is_noticed_at_once(bench: Bench) -> None:
    """What was published a moment before Redis was emptied is sent again by the next sweep, and by one alone."""
    for number in range(5):
        await bench.ask(f"d{number}")
    await sweep_once(bench.engine, bench.publisher, bench.settings, host="a")
    await bench.redis.flushall()
    assert (await sweep_once(bench.engine, bench.publisher, bench.settings, host="a")).published == 5
    assert (await sweep_once(bench.engine, bench.publisher, bench.settings, host="a")).published == 0


async def test_what_waits_in_its_queue_is_not_sent_again(bench: Bench) -> None:
    """A message behind a long fit is not lost, and is not multiplied."""
    for number in range(5):
        await bench.ask(f"d{number}")
    for _ in range(3):
        assert await bench.sweep() == Swept()
    assert len(await bench.queued("ingest")) == 5


async def test_a_message_that_its_worker_took_along_is_sent_again(bench: Bench) -> None:
    """What was taken out of the queue and never claimed is published again, once."""
    event = await bench.ask()
    await bench.take("ingest")
    assert (await bench.sweep()).published == 1
    assert await bench.queued("ingest") == [event.id]


async def test_committed_and_never_published_is_published(bench: Bench) -> None:
    """A crash between commit and publish loses nothing."""
    event = await bench.ask()

    def crash(stage: str) -> None:
        if stage == "committed":
            raise SystemExit

    await bench.take("ingest")
    with pytest.raises(SystemExit):
        await bench.processor("ingest", at=crash).process(event.id)
    assert not await bench.queued("preprocess")
    assert (await bench.sweep()).published == 1
    assert len(await bench.queued("preprocess")) == 1


@pytest.mark.parametrize("hours", [-25, 25])
async def test_the_clock_of_a_worker_does_not_matter(bench: Bench, hours: int) -> None:
    """An event of a worker whose clock is wrong is sent when it is due by the database's clock."""
    event = IngestRequested.first(subject="d", source="test", dataset="d")
    event = msgspec.structs.replace(event, time=event.time + timedelta(hours=hours))
    async with bench.engine.begin() as connection:
        await store.start_run(connection, event, dataset="d", requested_by="test", urgent=False)
    swept = await sweep_once(bench.engine, bench.publisher, bench.settings, host="a")
    assert swept.published == 0  # it was committed just now: whoever did that is about to publish it
    assert (await bench.sweep()).published == 1


async def test_a_clock_that_went_back_holds_up_nothing(bench: Bench) -> None:
    """What was written while the database's clock was a day ahead waits as long as it was to wait, not a day more."""
    waiting, failed = await bench.ask("waiting"), await bench.ask("failed")
    await bench.redis.flushall()
    await bench.write(
        "UPDATE rookery.events SET time = time + interval '1 day', due_at = due_at + interval '1 day',"
        " published_at = published_at + interval '1 day' WHERE dataset = 'waiting'"
    )
    await bench.write(
        "UPDATE rookery.events SET claimed_at = clock_timestamp() + interval '1 day', attempts = 1,"
        " started_at = clock_timestamp() + interval '1 day', published_at = NULL,"
        " due_at = clock_timestamp() + interval '1 day 1 second' WHERE dataset = 'failed'"
    )
    first = await sweep_once(bench.engine, bench.publisher, bench.settings, host="a")
    rows = await bench.rows("SELECT extract(epoch FROM due_at - clock_timestamp()) AS wait_s FROM rookery.events")
    assert all(row.wait_s < 2 for row in rows)
    await bench.write("UPDATE rookery.events SET due_at = due_at - interval '2 s'")
    assert first.published + (await bench.sweep()).published == 2
    await bench.drain()
    for event in (waiting, failed):
        assert await bench.run_state(event.id) == ("completed", "trained")


async def test_a_lease_of_a_clock_that_went_back_runs_out(bench: Bench) -> None:
    """A lease on another host that was taken while the clock was ahead ends when it would have ended."""
    await bench.ask()
    await bench.write(
        "UPDATE rookery.events SET claim_id = gen_random_uuid(), owner = 'elsewhere/1/1/1', attempts = 1,"
        " claimed_at = clock_timestamp() + interval '1 day', claimed_until = clock_timestamp() + interval '1 day 15 s'"
    )
    await sweep_once(bench.engine, bench.publisher, bench.settings, host="a")
    (row,) = await bench.rows(
        "SELECT extract(epoch FROM claimed_until - clock_timestamp()) AS left FROM rookery.events"
    )
    assert 10 < row.left <= 15


async def test_two_sweeps_at_once_publish_once(bench: Bench) -> None:
    """Rows that one sweep holds are left to it by the other."""
    for number in range(10):
        await bench.ask(f"d{number}")
    await bench.redis.flushall()
    await bench.age(10)
    other = Publisher(make_app(bench.settings, "other"))
    both = await asyncio.gather(
        sweep_once(bench.engine, bench.publisher, bench.settings, host="a"),
        sweep_once(bench.engine, other, bench.settings, host="b"),
    )
    other.close()
    assert sum(swept.published for swept in both) == 10
    assert len(await bench.queued("ingest")) == 10


async def test_a_sweep_without_redis_says_so_and_keeps_what_is_due(bench: Bench) -> None:
    """With Redis away nothing is marked as published."""
    event = await bench.ask()
    await bench.take("ingest")
    await bench.age(10)
    away = Publisher(make_app(msgspec.structs.replace(bench.settings, redis_url="redis://127.0.0.1:1/0"), "away"))
    with pytest.raises(PublishError):
        await sweep_once(bench.engine, away, bench.settings, host="a")
    assert (await bench.sweep()).published == 1
    assert await bench.queued("ingest") == [event.id]


async def die(bench: Bench, event: IngestRequested) -> None:
    """Makes a dead letter of a request, and a failure of its run."""
    async with bench.engine.begin() as connection:
        claim = await leases.claim(connection, event.id, owner=this_process(), lease_s=60, max_attempts=9)
        assert isinstance(claim, leases.Claim)
        await leases.fail(connection, claim, error="the source is away", retry_in_s=None)


async def test_a_source_that_stays_away_is_one_dead_letter(bench: Bench) -> None:
    """Of dead requests to ingest the newest stays, until one of the data set is handled; runs stay failed."""
    asked = [await bench.ask() for _ in range(3)]
    for event in asked:
        await die(bench, event)
    await die(bench, await bench.ask("other"))
    assert await forget_overtaken(bench.engine, bench.settings) == 2
    assert await forget_overtaken(bench.engine, bench.settings) == 0
    assert await dead(bench) == {"d", "other"}
    await bench.ask()
    assert await forget_overtaken(bench.engine, bench.settings) == 0
    await bench.drain()
    assert await forget_overtaken(bench.engine, bench.settings) == 1
    assert await dead(bench) == {"other"}
    assert {await bench.run_state(event.id) for event in asked} == {("failed", "failed")}


async def test_what_a_person_forced_stays_a_dead_letter(bench: Bench) -> None:
    """A forced request asked for more than those that come after it."""
    event = IngestRequested.first(subject="d", source="test", dataset="d", force=True)
    async with bench.engine.begin() as connection:
        await store.start_run(connection, event, dataset="d", requested_by="console", urgent=True)
    await die(bench, event)
    await die(bench, await bench.ask())
    assert await forget_overtaken(bench.engine, bench.settings) == 0


async def dead(bench: Bench) -> set[str]:
    """The data sets that have a dead letter."""
    async with bench.engine.connect() as connection:
        return set((await connection.execute(select(events.c.dataset).where(events.c.dead_at.is_not(None)))).scalars())
