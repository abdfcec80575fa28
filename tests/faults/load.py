"""Requests all the while: each commits a run through the operation that console and command line use."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from common.events import store
from common.events.publisher import PublishError
from common.operations.runs import trigger
from tests.faults.arena import Arena
from tests.faults.history import Acknowledged, Asked, Refused

DATASETS = ("a", "b", "c", "d")
PATIENCE_S = 30.0


async def ask(arena: Arena, dataset: str) -> UUID | None:
    """Asks for a run and publishes it; tries until PostgreSQL takes it. None where it never did.

    Whoever loses the connection in a commit looks whether it came through, as a careful client would.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        run: UUID | None = None
        try:
            async with arena.engine.begin() as connection:
                run, events = await trigger(connection, dataset, requested_by="harness", force=True)
                arena.history.note(Asked(run=str(run), at=time.time()))
        except (OSError, DBAPIError):
            if run is None or not await _is_there(arena, run, deadline):
                await asyncio.sleep(0.05)
                continue
            events = []
        arena.history.note(Acknowledged(run=str(run), at=time.time()))
        with contextlib.suppress(PublishError, OSError, DBAPIError):  # the sweep does what fails here
            await asyncio.to_thread(arena.publisher.publish, events)
            async with arena.engine.begin() as connection:
                await store.mark_published(connection, [event.id for event in events])
        return run
    arena.history.note(Refused(reason="PostgreSQL did not take it", at=time.time()))
    return None


async def _is_there(arena: Arena, run: UUID, deadline: float) -> bool:
    """Whether a commit came through whose answer was lost."""
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, DBAPIError):
            async with arena.engine.connect() as connection:
                found = await connection.execute(text("SELECT 1 FROM rookery.runs WHERE id = :id"), {"id": run})
                return found.first() is not None
        await asyncio.sleep(0.05)
    return False


async def ask_many(arena: Arena, count: int, datasets: Sequence[str] = DATASETS) -> None:
    """Asks for so many runs, one after the other."""
    for number in range(count):
        await ask(arena, datasets[number % len(datasets)])


@contextlib.asynccontextmanager
async def load(arena: Arena, *, per_s: float = 4.0, datasets: Sequence[str] = DATASETS) -> AsyncIterator[None]:
    """Asks at a steady rate while the body runs; a request that waits for PostgreSQL holds up no other."""
    asks: set[asyncio.Task[UUID | None]] = set()

    async def go_on() -> None:
        began, number = time.monotonic(), 0
        while True:
            task = asyncio.create_task(ask(arena, datasets[number % len(datasets)]))
            asks.add(task)
            number += 1
            await asyncio.sleep(max(0.0, began + number / per_s - time.monotonic()))

    steady = asyncio.create_task(go_on())
    try:
        yield
    finally:
        steady.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await steady
        await asyncio.gather(*asks)
