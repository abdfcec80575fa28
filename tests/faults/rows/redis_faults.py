"""Redis killed, emptied, away, and silent."""

import asyncio
import time

from tests.faults.arena import Arena, Plan, running
from tests.faults.ground import Ground, pick_port
from tests.faults.history import Run
from tests.faults.load import ask_many, load
from tests.faults.outcome import Judged, Outcome, judge, recovered, spread
from tests.faults.parlour import predictions

SLOW = ("a_fits_1s", "b")


async def restarts(ground: Ground, *, count: int, down_s: float = 1.0) -> Outcome:
    """Redis is killed while events are in flight, and is back after a second."""
    outcome = Outcome(row="Redis kill -9 and restart, tasks in flight")
    in_flight = []
    async with running(ground, Plan(name="redis-restarts", workers=2)) as arena:
        async with predictions(ground, arena), load(arena, datasets=SLOW, per_s=1):
            await asyncio.sleep(1.5)
            for _ in range(count):
                in_flight.append(await _leased(arena))
                await arena.take_down("redis", down_s)
                await asyncio.sleep(2.5)
        judged = await judge(arena, outcome)
        outcome.at_least("restarts", len(judged.faults()), least=count)
        outcome.at_least("restarts with a task in flight", sum(map(bool, in_flight)), least=count)
        recovered(outcome, judged.recoveries(), at_most=2)
    return outcome


async def _leased(arena: Arena, *, seconds: float = 5.0) -> int:
    """How many events somebody works on; waits for one."""
    deadline = time.monotonic() + seconds
    while True:
        (row,) = await arena.rows("SELECT count(*) AS held FROM rookery.events WHERE claimed_until > clock_timestamp()")
        if row.held or time.monotonic() > deadline:
            return int(row.held)
        await asyncio.sleep(0.01)


async def emptied(ground: Ground, *, count: int, waiting: int = 20, control: str = "") -> Outcome:
    """`FLUSHALL` while requests wait in the queues."""
    outcome = Outcome(row="Redis FLUSHALL")
    lost = []
    async with running(ground, Plan(name="flushall", control=control)) as arena:
        for _ in range(count):
            await ask_many(arena, waiting)
            at = time.time()
            with arena.redis() as client:
                lost.append(sum(client.llen(f"rookery.{name}") for name in ("ingest", "preprocess", "train")))
                client.flushall()
            arena.fault("FLUSHALL", "redis", at=at)
            await arena.drained(4 if control else 30)
        judged = await judge(arena, outcome, drain_s=4 if control else 60)
        outcome.at_least("emptied", len(judged.faults()), least=count)
        outcome.figures["messages thrown away"] = sum(lost)
        done = [_done_after(judged, fault.over_at) for fault in judged.faults()]
        spread(outcome, "all done s", done, at_most=5)
    return outcome


def _done_after(judged: Judged, moment: float) -> float | None:
    """Seconds until all runs that were open at a moment had ended."""
    runs = [one for one in judged.records if isinstance(one, Run) and one.at <= moment]
    ends = [run.ended_at for run in runs if run.ended_at is None or run.ended_at > moment]
    return None if None in ends else max((end - moment for end in ends if end is not None), default=0.0)


async def outage(ground: Ground, *, seconds: float) -> Outcome:
    """Redis is away for a while; requests are taken all the time."""
    outcome = Outcome(row=f"Redis away for {seconds:g} s")
    async with running(ground, Plan(name="redis-outage")) as arena:
        async with predictions(ground, arena), load(arena):
            await asyncio.sleep(1)
            await arena.take_down("redis", seconds)
            await asyncio.sleep(3)
        judged = await judge(arena, outcome)
        recovered(outcome, judged.recoveries(), at_most=15)
    return outcome


async def half_open(ground: Ground, *, count: int) -> Outcome:
    """All connections to Redis fall silent without being closed; new ones work."""
    outcome = Outcome(row="Redis half-open connections")
    port = pick_port()
    async with running(ground, Plan(name="half-open", redis_via=port)) as arena:
        async with load(arena, per_s=2):
            await asyncio.sleep(1)
            for _ in range(count):
                at = time.time()
                silenced = arena.proxy.silence()
                arena.fault("half-open", f"{silenced} connections", at=at)
                await _work_since(arena, time.time(), seconds=40)
                await asyncio.sleep(1)
        judged = await judge(arena, outcome)
        outcome.at_least("silenced", len(judged.faults()), least=count)
        recovered(outcome, judged.recoveries(), at_most=25)
    return outcome


async def _work_since(arena: Arena, moment: float, *, seconds: float) -> None:
    """Waits until each service has begun something since a moment."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        rows = await arena.rows(
            "SELECT DISTINCT queue FROM rookery.events WHERE queue IS NOT NULL AND started_at > to_timestamp(:at)",
            at=moment,
        )
        if len(rows) == 3:
            return
        await asyncio.sleep(0.1)
