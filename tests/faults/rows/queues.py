"""What lies in the queues: the same event again and again, and what is no event."""

import asyncio
import random
import time
from typing import Any
from uuid import UUID

import msgspec

from common.events.model import Event
from common.events.store import to_event
from common.events.topology import PARKED, queue_name
from tests.faults.arena import SERVICES, Arena, Plan, chosen, running
from tests.faults.garbage import garbage
from tests.faults.ground import Ground
from tests.faults.load import ask_many, load
from tests.faults.outcome import Outcome, judge

COPIES = 2
EVENTS_PER_RUN = 7
TAKE_EVERY = 1_000


async def duplicates(ground: Ground, *, count: int, control: str = "") -> Outcome:
    """Every message is delivered three times, in any order: before, while and after it is handled."""
    outcome = Outcome(row="each event three times, shuffled")
    async with running(ground, Plan(name="duplicates", workers=2, control=control)) as arena:
        copier = Copier(arena, chosen(3))
        copying = asyncio.create_task(copier.copy(count))
        runs = -(-count // (COPIES * EVENTS_PER_RUN))
        for number in range(0, runs, 10):
            await ask_many(arena, min(10, runs - number))
            await asyncio.sleep(0.5)
        await copying
        await _empty(arena)
        arena.fault("duplicates", "queues", at=time.time())
        await judge(arena, outcome, drain_s=5 if control else 60)
        outcome.at_least("duplicates", copier.delivered, least=count)
    return outcome


class Copier:
    """Publishes each event that it finds two times more, each at a moment of the next two seconds."""

    def __init__(self, arena: Arena, source: random.Random) -> None:
        self._arena = arena
        self._source = source
        self._seen: set[UUID] = set()
        self._waiting: list[tuple[float, Event]] = []
        self.delivered = 0

    async def copy(self, count: int) -> None:
        """Goes on until so many copies were delivered."""
        while self.delivered < count:
            await self._look()
            now = time.monotonic()
            ready = [event for moment, event in self._waiting if moment <= now]
            self._waiting = [one for one in self._waiting if one[0] > now]
            self._source.shuffle(ready)
            await asyncio.to_thread(self._arena.publisher.publish, ready, tell=False)
            self.delivered += len(ready)
            await asyncio.sleep(0.05)

    async def _look(self) -> None:
        """Finds the events that are new."""
        rows = await self._arena.rows("SELECT * FROM rookery.events WHERE queue IS NOT NULL")
        for row in rows:
            if row.id not in self._seen:
                self._seen.add(row.id)
                moments = [time.monotonic() + self._source.uniform(0, 2) for _ in range(COPIES)]
                self._waiting += [(moment, to_event(row)) for moment in moments]


async def _empty(arena: Arena, *, seconds: float = 30.0) -> None:
    """Waits until nothing is left in the queues."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with arena.redis() as client:
            if not any(client.llen(queue_name(service)) for service in SERVICES):
                return
        await asyncio.sleep(0.05)


async def garbage_in_queues(ground: Ground, *, count: int, control: str = "") -> Outcome:
    """Entries that are no events lie between good ones."""
    outcome = Outcome(row="garbage in the queues")
    source = chosen(4)
    parked = 0
    async with running(ground, Plan(name="garbage", control=control)) as arena:
        at = time.time()
        async with load(arena):
            with arena.redis() as client:
                for number in range(count):
                    queue: Any = client.lpush if number % 2 else client.rpush
                    await asyncio.to_thread(queue, queue_name(SERVICES[number % 3]), garbage(source, number))
                    if number % TAKE_EVERY == 0:
                        parked += _take_parked(client)
                    await asyncio.sleep(min(0.03, 10 / count))
        arena.fault("garbage", "queues", at=at, over_at=time.time())
        judged = await judge(arena, outcome, drain_s=5 if control else 60)
        outcome.figures["entries"] = count
        with arena.redis() as client:
            parked += _take_parked(client)
        outcome.exactly("parked with a reason", parked, expected=count)
        outcome.mark("longest pause s", judged.longest_pause_s(), at_most=5)
    return outcome


def _take_parked(client: Any) -> int:
    """Takes what was parked off its list, which keeps ten thousand; returns how many had a reason."""
    taken = 0
    while entries := client.rpop(PARKED, TAKE_EVERY):
        taken += sum(bool(msgspec.json.decode(entry)["reason"]) for entry in entries)
    return taken
