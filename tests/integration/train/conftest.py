"""A snapshot of penguins as preprocess leaves it, and units of work as the runtime makes them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pandas as pd
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.database.engine import database_engine
from common.database.tables import snapshots
from common.events.model import Event
from common.features import Feature
from common.settings import Settings
from common.snapshots.names import exposed, qualified, quote

ROOT = Path(__file__).parents[3]
PENGUINS = (ROOT / "shared" / "datasets" / "penguins.toml").read_text()
NUMERIC = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")


class Unit:
    """A unit of work without an event row behind it: one transaction, committed by `finish`."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.urgent = False
        self.attempt = 1
        self.paced: dict[Any, float] = {}
        self.superseded: list[tuple[str, int]] = []
        self.callbacks: list[Callable[[], Awaitable[Any]]] = []
        self._connection: AsyncConnection | None = None

    async def connection(self) -> AsyncConnection:
        """Begins the transaction at the first call."""
        if self._connection is None:
            self._connection = await self.engine.connect()
            await self._connection.begin()
        return self._connection

    def pace(self, event: Event, min_interval_s: float) -> None:
        """Notes what was paced."""
        self.paced[event.id] = min_interval_s

    async def supersede(self, dataset: str, snapshot: int) -> None:
        """Notes what was superseded."""
        self.superseded.append((dataset, snapshot))

    def after_commit(self, callback: Callable[[], Awaitable[Any]]) -> None:
        """Keeps the callback for after the commit."""
        self.callbacks.append(callback)

    async def finish(self) -> None:
        """Commits, then does what was to be done after it."""
        if self._connection is not None:
            await self._connection.commit()
            await self._connection.close()
        for callback in self.callbacks:
            await callback()

    async def abandon(self) -> None:
        """Ends like a process that was killed before its commit."""
        if self._connection is not None:
            await self._connection.rollback()
            await self._connection.close()


@pytest.fixture
async def engine(postgres: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine of the test's loop."""
    async with database_engine(postgres, "rookery-test") as made:
        yield made


@pytest.fixture
def spec_file(postgres: Settings) -> Path:
    """The spec of penguins in the test's own folder."""
    path = postgres.datasets_dir / "penguins.toml"
    path.write_text(PENGUINS)
    return path


def penguins() -> pd.DataFrame:
    """The data file's complete rows, as seaborn gives them."""
    frame = pd.read_csv(ROOT / "shared" / "data" / "penguins.csv").dropna().reset_index(drop=True)
    frame["sex"] = frame["sex"].str.title()
    return frame


async def add_snapshot(engine: AsyncEngine, frame: pd.DataFrame, number: int = 1, *, dataset: str = "penguins") -> None:
    """Loads a frame as a preprocessed snapshot."""
    features = [
        Feature(name, "numeric", minimum=float(frame[name].min()), maximum=float(frame[name].max())) for name in NUMERIC
    ]
    features += [Feature(name, "categorical", tuple(sorted(set(frame[name])))) for name in ("island", "sex")]
    target = Feature("species", "categorical", tuple(sorted(set(frame["species"]))))
    table = qualified(exposed(dataset), number)
    names = [*NUMERIC, "island", "sex", "species"]
    types = ["double precision"] * len(NUMERIC) + ["text"] * 3
    listing = ", ".join(f"{quote(name)} {kind}" for name, kind in zip(names, types, strict=True))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA IF NOT EXISTS snapshots"))
        await connection.exec_driver_sql(f"CREATE TABLE {table} ({listing})")
        marks = ", ".join(f":{name}" for name in names)
        rows = [dict(zip(names, row, strict=True)) for row in frame[names].itertuples(index=False, name=None)]
        await connection.execute(text(f"INSERT INTO {table} VALUES ({marks})"), rows)
        await connection.execute(
            insert(snapshots).values(
                dataset=dataset,
                number=number,
                state="ready",
                event_id=uuid4(),
                digest=f"digest-{number}",
                rows=len(frame),
                rows_kept=len(frame),
                features={"features": msgspec.to_builtins(features), "target": msgspec.to_builtins(target)},
            )
        )


async def handle(handler: Any, event: Event, engine: AsyncEngine, settings: Settings) -> Sequence[Event]:
    """Handles an event and commits, as the runtime does."""
    unit = Unit(engine, settings)
    try:
        outgoing: Sequence[Event] = await handler(event, unit)
    except BaseException:
        await asyncio.shield(unit.abandon())
        raise
    await unit.finish()
    return outgoing
