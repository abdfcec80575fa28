"""Snapshots without a data set: tables made by hand."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from common.database.engine import database_engine
from common.database.tables import snapshots
from common.settings import Settings
from common.snapshots.loading import Column, close_snapshot_table, copy_rows, create_snapshot_table
from common.snapshots.records import want

NUMBER = Column("v", "double precision")


class Shelf:
    """Puts snapshots of table `d` into a database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    async def put(
        self, number: int, *, rows: int = 3, columns: tuple[Column, ...] = (NUMBER,), value: str = ""
    ) -> None:
        """A snapshot that is ready and wanted; each of its values is its number, or `value`."""
        line = ",".join([value or str(number)] * len(columns)) + "\n"

        async def source() -> AsyncIterator[bytes]:
            yield (line * rows).encode()

        async with self.engine.begin() as connection:
            await create_snapshot_table(connection, "d", number, columns)
            assert await copy_rows(connection, "d", number, source(), format="csv") == rows
            await close_snapshot_table(connection, "d", number)
            row = {"dataset": "d", "number": number, "state": "ready", "rows": rows}
            await connection.execute(snapshots.insert().values(row))
            await want(connection, "d", "d", number)

    async def run(self, statement: str) -> list[tuple[object, ...]]:
        """What a statement gives; nothing for one without rows."""
        async with self.engine.begin() as connection:
            result = await connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    async def value(self, statement: str) -> object:
        """The one value that a statement gives."""
        return (await self.run(statement))[0][0]


@pytest.fixture
async def shelf(postgres: Settings) -> AsyncIterator[Shelf]:
    """A fresh database with nothing on it."""
    async with database_engine(postgres, "shelf") as engine:
        yield Shelf(engine)
