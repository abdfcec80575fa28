"""Celery beat's scheduler: each tick asks for what is due and sweeps.

A tick catches everything and keeps neither a loop nor a database connection: both ended beat on a restart of PostgreSQL
and on a SIGTERM within a tick. Celery builds and closes a scheduler twice, so `close` does nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from celery import Celery
from celery.beat import Scheduler
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from beat.schedule import Changes, Ended, due_ticks
from common.database.engine import database_engine
from common.datasets import DatasetSpec, fingerprint, load_specs
from common.events import store
from common.events.model import IngestRequested, change_id, tick_id
from common.events.owner import this_process
from common.events.publisher import Publisher
from common.events.sweep import sweep_once
from common.logs import get_logger
from common.settings import Settings

log = get_logger(__name__)

Chore = Callable[[AsyncEngine, Settings], Awaitable[Any]]


class Chores(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep does besides events, and how often, in seconds."""

    every_s: float
    chores: Sequence[Chore]


class Rounds:
    """What one beat process does again and again; remembers only what saves work."""

    def __init__(self, settings: Settings, publisher: Publisher, chores: Sequence[Chores]) -> None:
        self.settings = settings
        self._publisher = publisher
        self._chores = chores
        self._ticked: dict[str, int] = {}
        self._done_at: dict[int, float] = {}
        self._changes = Changes()
        self._host = this_process().host

    async def go_round(self) -> bool:
        """One round: ticks, sweep, chores; a failure leaves the other parts alone. Tells if ticks and sweep worked."""
        async with database_engine(self.settings, "rookery-beat") as engine:
            ticked = await self._guarded("tick", self.tick_once(engine))
            swept = await self._guarded("sweep", sweep_once(engine, self._publisher, self.settings, host=self._host))
            for number, group in enumerate(self._chores):
                if time.monotonic() - self._done_at.get(number, -group.every_s) < group.every_s:
                    continue
                self._done_at[number] = time.monotonic()
                for chore in group.chores:
                    await self._guarded(chore.__name__, chore(engine, self.settings))
        return ticked and swept

    async def tick_once(self, engine: AsyncEngine) -> None:
        """Asks for an ingest of each data set whose time has come, or whose source or spec has changed."""
        specs = await asyncio.to_thread(load_specs, self.settings.datasets_dir)
        sound = {name: spec for name, spec in specs.items() if isinstance(spec, DatasetSpec)}
        marks = await asyncio.to_thread(_marks, sound, self.settings)
        async with engine.begin() as connection:
            now_s, paused, busy = await _surroundings(connection)
            changed = self._changes.look(marks, silent=paused | busy)
            ticks = due_ticks(
                {name: spec.interval_s for name, spec in sound.items() if name not in changed},
                now_s=now_s,
                paused=paused,
                busy=busy,
                ticked=self._ticked,
                ended=await _last_runs(connection, list(sound)),
            )
            begun = [event for name, mark in changed.items() if (event := await _ask(connection, name, "change", mark))]
            begun += [
                event for tick in ticks if (event := await _ask(connection, tick.dataset, "schedule", tick.window))
            ]
        self._ticked |= {tick.dataset: tick.window for tick in ticks}
        await asyncio.to_thread(self._publisher.publish, begun)
        if begun:
            async with engine.begin() as connection:
                await store.mark_published(connection, [event.id for event in begun])

    async def _guarded(self, name: str, work: Awaitable[Any]) -> bool:
        """Logs a failure, once in a line; the next round tries again. Tells whether it worked."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - beat outlives whatever is away
            original = getattr(error, "orig", None) or error
            log.warning(
                "part of a round failed", part=name, error=f"{type(original).__name__}: {original}".splitlines()[0]
            )
            return False
        return True


def _marks(specs: Mapping[str, DatasetSpec], settings: Settings) -> dict[str, str]:
    """What tells a changed source or spec: files by size, time and inode; a query has nothing to look at."""
    return {name: f"{spec.digest} {fingerprint(spec, settings.data_dir)}" for name, spec in specs.items()}


async def _ask(connection: AsyncConnection, dataset: str, why: str, key: int | str) -> IngestRequested | None:
    """Begins a run, with the id that every beat gives to this tick or change; None where it was begun before."""
    identity = tick_id(dataset, key) if isinstance(key, int) else change_id(dataset, key)
    event = IngestRequested.first(subject=dataset, source="rookery/beat", id=identity, dataset=dataset)
    begun = await store.start_run(connection, event, dataset=dataset, requested_by=why, urgent=False)
    return event if begun else None


async def _surroundings(connection: AsyncConnection) -> tuple[float, set[str], set[str]]:
    """The database's time, the paused data sets, and those with an open ingest."""
    row = (
        await connection.execute(
            text(
                "SELECT extract(epoch FROM clock_timestamp()) AS now_s,"
                " array(SELECT name FROM rookery.datasets WHERE paused) AS paused,"
                " array(SELECT DISTINCT dataset FROM rookery.events WHERE type = 'ingest.requested'"
                "  AND handled_at IS NULL AND dead_at IS NULL) AS busy"
            )
        )
    ).one()
    return float(row.now_s), set(row.paused), set(row.busy)


async def _last_runs(connection: AsyncConnection, names: list[str]) -> dict[str, list[Ended]]:
    """The last runs of each data set, the newest first: enough of them to count failures up to the longest wait."""
    rows = await connection.execute(
        text(
            "SELECT n.name, r.state, extract(epoch FROM r.ended_at)::float8 AS at_s"
            " FROM unnest(CAST(:names AS text[])) n(name), LATERAL (SELECT state, ended_at, started_at"
            "  FROM rookery.runs WHERE dataset = n.name AND state IN ('completed', 'failed')"
            "  ORDER BY started_at DESC LIMIT 10) r ORDER BY r.started_at DESC"
        ),
        {"names": names},
    )
    found: dict[str, list[Ended]] = {}
    for row in rows:
        found.setdefault(row.name, []).append(Ended(failed=row.state == "failed", at_s=row.at_s))
    return found


class EventScheduler(Scheduler):
    """Celery's scheduler without entries of Celery's own."""

    rounds: Rounds

    def __init__(self, app: Celery, *args: Any, **kwargs: Any) -> None:
        self.rounds = app.conf.rookery_rounds
        self._interval_s: float = app.conf.rookery_interval_s
        super().__init__(app, *args, **kwargs)

    def setup_schedule(self) -> None:
        """Nothing: what is due stands in specs and in PostgreSQL."""

    def tick(self, *_args: Any, **_kwargs: Any) -> float:
        """One round; returns the seconds until the next."""
        began = time.monotonic()
        try:
            if asyncio.run(self.rounds.go_round()):
                # The file's age is what a health check looks at (deploy/fresh).
                self.rounds.settings.tell_ready()
        except Exception as error:  # noqa: BLE001 - beat outlives whatever is away
            log.warning("round failed", error=_line(error))
        return max(0.05, self._interval_s - (time.monotonic() - began))

    def close(self) -> None:
        """Nothing: nothing is kept open but the publisher, whose connection ends with the process."""


def _line(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
