"""From a snapshot to its features and its encoded table, by SQL made from the definition in `common.features`.

Encoding in Python would be several times slower than the database; a test holds both against each other. CREATE TABLE
AS is twice as fast as a COPY from one connection to another, but its rows are not frozen: `expose` therefore shows a
table only once every reader would see its rows.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from common.datasets.spec import DatasetSpec
from common.errors import DataError
from common.features import Feature, full_columns, indicators
from common.snapshots import Features
from common.snapshots.loading import Column, close_snapshot_table, create_snapshot_table_as
from common.snapshots.names import column_name, exposed, exposed_preprocessed, literal, qualified, quote
from common.snapshots.reading import in_source_order

# PostgreSQL's tables have at most 1,600 columns.
MOST_COLUMNS = 1_500
# Rows are dropped for what they miss; more kinds of gaps than this are counted together.
MOST_REASONS = 20


class Cleaned(msgspec.Struct, frozen=True):
    """What is known after a look at all rows: the features with levels and ranges, and what is left out and why."""

    features: Features
    rows_kept: int
    rows_dropped: dict[str, int]


async def find_features(connection: AsyncConnection, spec: DatasetSpec, number: int, *, rows: int) -> Cleaned:
    """Fixes levels, ranges and fill values from the rows that are kept, of `rows` in all.

    Raises DataError where no row is kept or the encoded table would have more columns than PostgreSQL allows.
    """
    table = f"ONLY {qualified(exposed(spec.name), number)}"
    kept = f"{table} WHERE {_kept(spec)}"
    ranges = await _ranges(connection, spec, kept)
    if not ranges["rows"]:
        raise DataError("no row is left without missing values")
    dropped = await _dropped(connection, spec, table) if ranges["rows"] < rows else {}
    levels = await _levels(connection, spec.texts, kept)
    fills = await _fills(connection, spec, kept) if spec.missing == "impute" else {}
    found = {
        name: Feature(
            name=name,
            kind="categorical" if name in spec.texts else "numeric",
            levels=levels.get(name, ()),
            minimum=ranges.get(f"min {name}"),
            maximum=ranges.get(f"max {name}"),
            fill=fills.get(name),
        )
        for name in spec.columns
    }
    features = Features(tuple(found[name] for name in (*spec.numeric, *spec.categorical)), found[spec.target])
    width = len(full_columns(features.encoded))
    if width > MOST_COLUMNS:
        widest = max(spec.categorical, key=lambda name: len(levels[name]), default=spec.target)
        raise DataError(
            f"the encoded table would have {width:,} columns, and {MOST_COLUMNS:,} are possible; "
            f"{widest} alone has {len(levels[widest]):,} levels"
        )
    return Cleaned(features, int(ranges["rows"]), dropped)


def _kept(spec: DatasetSpec) -> str:
    """The condition under which a row is kept: nothing is missing, or nothing that cannot be filled."""
    needed = (spec.target,) if spec.missing == "impute" else spec.columns
    return " AND ".join(f"{quote(name)} IS NOT NULL" for name in needed)


async def _dropped(connection: AsyncConnection, spec: DatasetSpec, table: str) -> dict[str, int]:
    """How many rows are dropped, by all that they miss: each row counts once, so the counts add up.

    A column's name may hold anything, so columns are told by their position.
    """
    needed = (spec.target,) if spec.missing == "impute" else spec.columns
    gaps = " || ".join(f"CASE WHEN {quote(name)} IS NULL THEN '{at},' ELSE '' END" for at, name in enumerate(needed))
    rows = await _fetch(
        connection,
        f"SELECT {gaps} AS gaps, count(*) AS rows FROM {table} WHERE NOT ({_kept(spec)}) GROUP BY 1 ORDER BY 2 DESC, 1",
    )
    reasons: dict[str, int] = {}
    for row in rows[:MOST_REASONS]:
        names = [needed[int(at)] for at in row["gaps"].split(",") if at]
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        reasons[f"{listed} {'is' if len(names) == 1 else 'are'} missing"] = row["rows"]
    others = sum(row["rows"] for row in rows[MOST_REASONS:])
    return reasons | ({"something else is missing": others} if others else {})


async def _ranges(connection: AsyncConnection, spec: DatasetSpec, kept: str) -> dict[str, Any]:
    parts = ["count(*) AS rows"]
    for at, name in enumerate(spec.numbers):
        parts += [f"min({quote(name)}) AS low{at}", f"max({quote(name)}) AS high{at}"]
    row = (await _fetch(connection, f"SELECT {', '.join(parts)} FROM {kept}"))[0]
    ranges: dict[str, Any] = {"rows": row["rows"]}
    for at, name in enumerate(spec.numbers):
        ranges |= {f"min {name}": row[f"low{at}"], f"max {name}": row[f"high{at}"]}
    return ranges


async def _levels(connection: AsyncConnection, names: Sequence[str], kept: str) -> dict[str, tuple[str, ...]]:
    """The columns' levels from one scan, sorted by code point as Python does, whatever the database's collation is."""
    if not names:
        return {}
    columns = [quote(name) for name in names]
    which = " ".join(f"WHEN GROUPING({column}) = 0 THEN {at}" for at, column in enumerate(columns))
    rows = await _fetch(
        connection,
        f"SELECT CASE {which} END AS at, coalesce({', '.join(columns)}) AS level FROM {kept} "
        f"GROUP BY GROUPING SETS ({', '.join(f'({column})' for column in columns)})",
    )
    found: dict[str, list[str]] = {name: [] for name in names}
    for row in rows:
        if row["level"] is not None:
            found[names[row["at"]]].append(row["level"])
    return {name: tuple(sorted(levels)) for name, levels in found.items()}


async def _fills(connection: AsyncConnection, spec: DatasetSpec, kept: str) -> dict[str, float | str]:
    """What replaces a missing value: the median of numbers, the most frequent category (the first of equals)."""
    parts = [
        f"percentile_cont(0.5) WITHIN GROUP (ORDER BY {quote(name)}) AS c{at}" for at, name in enumerate(spec.numeric)
    ]
    parts += [
        f'mode() WITHIN GROUP (ORDER BY {quote(name)} COLLATE "C") AS c{at}'
        for at, name in enumerate(spec.categorical, start=len(spec.numeric))
    ]
    row = (await _fetch(connection, f"SELECT {', '.join(parts)} FROM {kept}"))[0]
    fills = {name: row[f"c{at}"] for at, name in enumerate((*spec.numeric, *spec.categorical))}
    empty = next((name for name, value in fills.items() if value is None), None)
    if empty is not None:
        raise DataError(f"column {empty} has no value at all to fill its gaps with")
    return fills


def encoding(features: Features) -> tuple[list[Column], list[str]]:
    """The encoded table's columns, and the expressions that make them, in the same order."""
    columns: list[Column] = []
    expressions: list[str] = []
    for feature in features.encoded:
        if feature.kind == "numeric":
            columns.append(Column(column_name(feature.name), "double precision"))
            expressions.append(_filled(feature))
    for feature in features.encoded:
        for name, level in zip(indicators(feature), feature.levels, strict=False):
            columns.append(Column(column_name(name), "smallint"))
            expressions.append(f"({_filled(feature)} = {literal(level)})::int::smallint")
    return columns, expressions


def _filled(feature: Feature) -> str:
    if feature.fill is None:
        return quote(feature.name)
    fill = literal(feature.fill) if isinstance(feature.fill, str) else f"{feature.fill!r}::float8"
    return f"coalesce({quote(feature.name)}, {fill})"


async def encode(connection: AsyncConnection, spec: DatasetSpec, number: int, features: Features) -> None:
    """Makes the encoded table of a snapshot, in the same order of rows, in the connection's transaction."""
    columns, expressions = encoding(features)
    named = ", ".join(
        f"{expression} AS {quote(column.name)}" for expression, column in zip(expressions, columns, strict=True)
    )
    query = f"SELECT {named} FROM ONLY {qualified(exposed(spec.name), number)} WHERE {_kept(spec)}"
    await in_source_order(connection)
    await create_snapshot_table_as(connection, exposed_preprocessed(spec.name), number, query)
    await close_snapshot_table(connection, exposed_preprocessed(spec.name), number)


async def _fetch(connection: AsyncConnection, query: str) -> Sequence[Any]:
    return (await connection.exec_driver_sql(query)).mappings().all()


async def lock_snapshot(connection: AsyncConnection, dataset: str, number: int) -> None:
    """Waits until no other attempt preprocesses this snapshot; until the transaction's end."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtext(:dataset), :number)"), {"dataset": dataset, "number": number}
    )
