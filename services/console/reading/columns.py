"""The columns of a snapshot with small distributions, computed in SQL, once per snapshot: it never changes."""

import asyncio
from collections import OrderedDict
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from common.database.tables import SNAPSHOTS_SCHEMA

BINS = 16
_LEVELS = 12
_CACHED = 64
# Beyond this a sample of the table's blocks is enough for a picture of sixteen bars.
_SAMPLED_ABOVE = 500_000
_NUMERIC = ("int", "double", "float", "numeric", "real", "bigint", "smallint", "decimal")


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column: a histogram for numbers, the most frequent levels for the rest."""

    name: str
    type: str
    nulls: int
    lowest: float | None = None
    median: float | None = None
    highest: float | None = None
    bins: list[int] = []
    levels: list[tuple[str, int]] = []
    distinct: int = 0


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """All columns; `sampled`: the share of rows that the figures are from."""

    columns: list[Column]
    sampled: float = 1.0


class ColumnCache:
    """Remembers the last snapshots' columns, and lets only one request compute them."""

    def __init__(self) -> None:
        """Begins empty."""
        self._known: OrderedDict[tuple[str, int], Columns] = OrderedDict()
        self._lock = asyncio.Lock()

    async def get(
        self, connection: AsyncConnection, dataset: str, number: int, columns: list[dict[str, Any]], rows: int
    ) -> Columns:
        """The columns of a snapshot's table."""
        key = (dataset, number)
        async with self._lock:
            if key not in self._known:
                self._known[key] = await describe(connection, f"{dataset}_{number}", columns, rows)
                while len(self._known) > _CACHED:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]


async def describe(connection: AsyncConnection, table: str, columns: list[dict[str, Any]], rows: int) -> Columns:
    """Reads the distributions of a snapshot's columns."""
    share = min(1.0, _SAMPLED_ABOVE / rows) if rows else 1.0
    source = f"{quote(SNAPSHOTS_SCHEMA)}.{quote(table)}"
    if share < 1:
        source += f" TABLESAMPLE SYSTEM ({share * 100:.4f}) REPEATABLE (42)"
    found = []
    for column in columns:
        name, kind = str(column["name"]), str(column["type"])
        numeric = any(kind.lower().startswith(word) for word in _NUMERIC)
        found.append(await (_numbers if numeric else _texts)(connection, source, name, kind))
    return Columns(columns=found, sampled=round(share, 4))


async def _numbers(connection: AsyncConnection, source: str, name: str, kind: str) -> Column:
    """A column of numbers. NaN counts as missing, infinite values stay out of the bars."""
    value = f"nullif(CAST({quote(name)} AS float8), 'NaN')"
    row = (
        await connection.exec_driver_sql(
            f"WITH v AS (SELECT {value} AS v FROM {source}),"
            " b AS (SELECT count(*) - count(v) AS nulls, min(v) AS lo, max(v) AS hi,"
            "  percentile_cont(0.5) WITHIN GROUP (ORDER BY v) AS mid, count(DISTINCT v) AS kinds FROM v"
            "  WHERE v IS NULL OR v NOT IN ('Infinity', '-Infinity')),"
            " h AS (SELECT CASE WHEN b.hi = b.lo THEN 1 ELSE"
            f"  least({BINS}, width_bucket(v.v, b.lo, b.hi, {BINS})) END AS bin, count(*) AS n"
            "  FROM v, b WHERE v.v BETWEEN b.lo AND b.hi GROUP BY 1)"
            " SELECT b.*, (SELECT jsonb_object_agg(bin, n) FROM h) AS bins FROM b"
        )
    ).one()
    counts = msgspec.json.decode(row.bins) if isinstance(row.bins, str) else row.bins or {}
    return Column(
        name=name,
        type=kind,
        nulls=row.nulls,
        lowest=row.lo,
        median=row.mid,
        highest=row.hi,
        bins=[int(counts.get(str(number), 0)) for number in range(1, BINS + 1)] if counts else [],
        distinct=row.kinds,
    )


async def _texts(connection: AsyncConnection, source: str, name: str, kind: str) -> Column:
    """A column of levels."""
    rows = (
        await connection.exec_driver_sql(
            f"SELECT CAST({quote(name)} AS text) AS level, count(*) AS n, count(*) OVER () AS kinds"
            f" FROM {source} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_LEVELS + 1}"
        )
    ).all()
    nulls = next((row.n for row in rows if row.level is None), 0)
    kinds = rows[0].kinds - bool(nulls) if rows else 0
    if not nulls and kinds > len(rows):
        missing = await connection.exec_driver_sql(f"SELECT count(*) FROM {source} WHERE {quote(name)} IS NULL")
        nulls = missing.scalar_one()
    levels = [(str(row.level)[:60], row.n) for row in rows if row.level is not None][:_LEVELS]
    return Column(name=name, type=kind, nulls=nulls, levels=levels, distinct=kinds)


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
