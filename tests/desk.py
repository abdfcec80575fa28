"""Drives ingest and preprocess by hand on a real PostgreSQL: real claims, real fenced commits, no Celery, no Redis."""

import os
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from common.events import leases, store
from common.events.handling import Handlers
from common.events.model import Event, IngestRequested
from common.events.owner import this_process
from common.events.unit import UnitOfWork
from common.settings import Settings
from services.ingest.handlers import HANDLERS as INGEST
from services.preprocess.handlers import HANDLERS as PREPROCESS
from tests.specs import PENGUINS, PENGUINS_CSV

LONG_AGO = 1_700_000_000
E = TypeVar("E", bound=Event)


class Desk:
    """One worker's place: what a test asks for is claimed, handled and committed at once."""

    def __init__(self, settings: Settings, engine: AsyncEngine) -> None:
        self.settings, self.engine = settings, engine
        self.after_commit = True
        self._moment = LONG_AGO

    def spec(self, name: str, toml: str) -> None:
        """Puts a spec into the folder."""
        (self.settings.datasets_dir / f"{name}.toml").write_text(toml, encoding="utf-8")

    def data(self, name: str, content: str | bytes, *, still: bool = True) -> Path:
        """Puts a data file into the folder, by default one that nobody has touched for long."""
        path = self.settings.data_dir / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if still:
            self._moment += 1  # two versions never have the same time
            os.utime(path, (self._moment, self._moment))
        return path

    def penguins(self) -> None:
        """The built-in example, as it is shipped."""
        self.spec("penguins", PENGUINS)
        self.data("penguins.csv", PENGUINS_CSV)

    async def ask(self, dataset: str, *, force: bool = False, urgent: bool = False) -> IngestRequested:
        """A run of a data set, whose first event nobody has handled yet."""
        event = IngestRequested.first(subject=dataset, source="test", dataset=dataset, force=force)
        async with self.engine.begin() as connection:
            await store.start_run(connection, event, dataset=dataset, requested_by="test", urgent=urgent)
        return event

    async def handle(self, event: Event, handlers: Handlers) -> list[Event]:
        """Claims an event, handles it, commits; returns what it emitted."""
        claim = await self.claim(event)
        async with UnitOfWork(self.engine, self.settings, claim, source="test") as unit:
            outgoing = await handlers[type(event)](event, unit)
            await unit.finish(outgoing)
        for callback in unit.callbacks if self.after_commit else ():
            await callback()
        return list(outgoing)

    async def claim(self, event: Event) -> leases.Claim:
        """Claims an event, waiting or not."""
        async with self.engine.begin() as connection:
            await connection.execute(
                text("UPDATE rookery.events SET due_at = clock_timestamp(), claimed_until = NULL WHERE id = :id"),
                {"id": event.id},
            )
        async with self.engine.begin() as connection:
            claim = await leases.claim(connection, event.id, owner=this_process(), lease_s=60, max_attempts=9)
        assert isinstance(claim, leases.Claim), claim
        return claim

    async def ingest(
        self, dataset: str = "penguins", *, force: bool = False, urgent: bool = False, handlers: Handlers = INGEST
    ) -> Event:
        """What comes of an ingest."""
        (answer,) = await self.handle(await self.ask(dataset, force=force, urgent=urgent), handlers)
        return answer

    async def preprocess(self, ingested: Event) -> Event:
        """What comes of a snapshot."""
        (answer,) = await self.handle(ingested, PREPROCESS)
        return answer

    async def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """What a statement gives."""
        async with self.engine.begin() as connection:
            return [tuple(row) for row in await connection.execute(text(statement), values)]

    async def value(self, statement: str, **values: Any) -> Any:
        """The one value that a statement gives."""
        return (await self.rows(statement, **values))[0][0]

    async def run(self, statement: str) -> None:
        """Runs a statement that gives nothing."""
        async with self.engine.begin() as connection:
            await connection.execute(text(statement))
