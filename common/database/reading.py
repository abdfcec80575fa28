"""Rows of a query as structs: their fields are the columns."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

S = TypeVar("S", bound=msgspec.Struct)


async def read_all(
    connection: AsyncConnection, kind: type[S], statement: str, values: Mapping[str, Any] | None = None
) -> list[S]:
    """Every row of a query."""
    rows = await connection.execute(text(statement), values)
    return [msgspec.convert(dict(row), kind) for row in rows.mappings()]


async def read_first(
    connection: AsyncConnection, kind: type[S], statement: str, values: Mapping[str, Any] | None = None
) -> S | None:
    """The first row of a query, or None where it has none."""
    row = (await connection.execute(text(statement), values)).mappings().first()
    return msgspec.convert(dict(row), kind) if row is not None else None
