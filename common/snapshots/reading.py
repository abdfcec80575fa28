"""Rows of a snapshot as numpy columns, in the order of the source: the same every time, so a split is too.

A heap that was written once by one writer is read in that order by a sequential scan. What could change it is turned
off for the transaction: scans that start in the middle (`synchronize_seqscans`), parallel workers, and indexes that
somebody may have made.

The rows travel as binary COPY. No column is null and each has a fixed width, so a row has one too, and a block of rows
is a numpy structured array without being parsed.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.errors import NotFoundError
from common.features import Feature, full_columns
from common.snapshots.names import column_name, exposed, exposed_preprocessed, literal, qualified, quote
from common.snapshots.records import Features, get_snapshot

Columns = dict[str, NDArray[Any]]
Block = NDArray[np.void]

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": signature, flags, length of the extension.
_HEADER_BYTES = 11 + 4 + 4


async def read_columns(
    engine: AsyncEngine, dataset: str, number: int, *, chosen: NDArray[np.intp] | None = None
) -> Columns:
    """The kept rows of a preprocessed snapshot, a numpy array per feature and for the target, nulls filled.

    Numbers are float64, categories objects (str). `chosen`, sorted positions among the kept rows, takes only those;
    memory then grows with the chosen rows alone. Raises NotFoundError where the snapshot is gone or not preprocessed.
    """
    parts: list[Columns] = []
    begin = 0
    async for part in stream_columns(engine, dataset, number, rows=100_000):
        count = len(next(iter(part.values())))
        if chosen is not None:
            inside = chosen[np.searchsorted(chosen, begin) : np.searchsorted(chosen, begin + count)] - begin
            begin += count
            part = {name: column[inside] for name, column in part.items()}  # noqa: PLW2901 - the part, narrowed
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


async def stream_columns(engine: AsyncEngine, dataset: str, number: int, *, rows: int) -> AsyncGenerator[Columns]:
    """The same in parts of at most `rows` rows, in flat memory; one part without rows where there is none."""
    features = await snapshot_features(engine, dataset, number)
    chosen = [*features.features, features.target]
    selected = ", ".join(_selected(feature) for feature in chosen)
    where = " AND ".join(f"{quote(feature.name)} IS NOT NULL" for feature in chosen if feature.fill is None)
    query = f"SELECT {selected} FROM ONLY {qualified(exposed(dataset), number)} WHERE {where or 'true'}"
    widths = ["f8" if feature.kind == "numeric" else "i2" for feature in chosen]
    async with _blocks(engine, query, widths, rows) as blocks:
        async for block in blocks:
            yield {feature.name: _column(feature, block[f"c{at}"]) for at, feature in enumerate(chosen)}


async def read_encoded(engine: AsyncEngine, dataset: str, number: int) -> NDArray[np.float64]:
    """The encoded table of a snapshot: `(n_rows, len(full_columns(features.encoded))) float64`."""
    features = await snapshot_features(engine, dataset, number)
    names = full_columns(features.encoded)
    numeric = sum(feature.kind == "numeric" for feature in features.encoded)
    widths = ["f8"] * numeric + ["i2"] * (len(names) - numeric)
    selected = ", ".join(quote(column_name(name)) for name in names)
    query = f"SELECT {selected} FROM ONLY {qualified(exposed_preprocessed(dataset), number)}"
    async with _blocks(engine, query, widths, 100_000) as blocks:
        parts = [
            np.column_stack([block[f"c{at}"].astype(np.float64) for at in range(len(names))]) async for block in blocks
        ]
    return np.concatenate(parts)


async def snapshot_features(engine: AsyncEngine, dataset: str, number: int) -> Features:
    """What preprocess fixed for a snapshot. Raises NotFoundError where it is gone or not preprocessed."""
    async with engine.connect() as connection:
        snapshot = await get_snapshot(connection, dataset, number)
    if snapshot is None or snapshot.state != "ready":
        raise NotFoundError(f"snapshot {number} of {dataset!r} is gone")
    if snapshot.features is None:
        raise NotFoundError(f"snapshot {number} of {dataset!r} is not preprocessed")
    return snapshot.features


def _selected(feature: Feature) -> str:
    name = quote(feature.name)
    if feature.kind == "numeric":
        return name if feature.fill is None else f"coalesce({name}, {float(feature.fill)!r}::float8)"
    value = name if feature.fill is None else f"coalesce({name}, {literal(str(feature.fill))})"
    levels = ", ".join(literal(level) for level in feature.levels)
    return f"(array_position(ARRAY[{levels}]::text[], {value}) - 1)::smallint"


def _column(feature: Feature, values: NDArray[Any]) -> NDArray[Any]:
    if feature.kind == "numeric":
        return values.astype(np.float64)
    levels = np.empty(len(feature.levels), dtype=object)
    levels[:] = feature.levels
    return np.asarray(levels[values.astype(np.intp)])


async def in_source_order(connection: AsyncConnection) -> None:
    """Makes the scans of this transaction read a snapshot in the order it was written."""
    settings = ("synchronize_seqscans", "enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")
    await connection.execute(text("SELECT " + ", ".join(f"set_config('{name}', 'off', true)" for name in settings)))
    await connection.execute(text("SET LOCAL max_parallel_workers_per_gather = 0"))


@asynccontextmanager
async def _blocks(
    engine: AsyncEngine, query: str, widths: Sequence[str], rows: int
) -> AsyncIterator[AsyncIterator[Block]]:
    """A query's rows as structured arrays of at most `rows` rows, read a few blocks ahead."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for at, width in enumerate(widths):
        fields += [(f"length{at}", ">i4"), (f"c{at}", f">{width}")]
    shape = np.dtype(fields)
    queue: asyncio.Queue[Block | None] = asyncio.Queue(2)
    task = asyncio.ensure_future(_copy_out(engine, query, shape, max(1, rows) * shape.itemsize, queue))

    async def blocks() -> AsyncIterator[Block]:
        while (block := await queue.get()) is not None:
            yield block
        await task

    try:
        yield blocks()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _copy_out(
    engine: AsyncEngine, query: str, shape: np.dtype[np.void], block_bytes: int, queue: asyncio.Queue[Block | None]
) -> None:
    """Runs the query and hands over its rows, block by block, at least one; then None, whatever the end was."""
    pending = bytearray()
    skip = _HEADER_BYTES
    handed_over = False

    async def take(data: bytes) -> None:
        nonlocal skip, handed_over
        pending.extend(data[skip:])
        skip = max(0, skip - len(data))
        while len(pending) >= block_bytes + 2:  # the last two bytes are the end mark
            await queue.put(np.frombuffer(bytes(pending[:block_bytes]), dtype=shape))
            del pending[:block_bytes]
            handed_over = True

    try:
        async with engine.connect() as connection:
            await in_source_order(connection)
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.copy_from_query(query, output=take, format="binary")
        last = np.frombuffer(bytes(pending[:-2]), dtype=shape)
        if len(last) or not handed_over:
            await queue.put(last)
        await queue.put(None)
    except BaseException:
        # The reader may have left already: nothing here may wait for it.
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
        raise
