"""A reader who wants the tables of a data set all the while that it is loaded anew, and judges each answer.

Two connections, statements in transactions of their own: five rows every 10 ms, and a count of all every second. An
answer is bad where its rows are of two snapshots, not as many as the snapshot has, or of the old snapshot after the new
one was seen. Every row says by itself which snapshot it lies in: `tableoid`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

FEW = 5
EVERY_S, COUNT_EVERY_S = 0.01, 1.0


class Found(msgspec.Struct):
    """What the reader saw."""

    reads: int = 0
    counts: int = 0
    longest_read_ms: float = 0.0
    longest_count_ms: float = 0.0
    bad: list[str] = []


@asynccontextmanager
async def reading(url: str, tables: Sequence[str], sizes: Sequence[int]) -> AsyncIterator[Found]:
    """Reads the tables until the block ends; `sizes` are the rows of the snapshots that each shows, in turn."""
    found = Found()
    history: dict[str, list[int]] = {table: [] for table in tables}
    over = asyncio.Event()
    tasks = [
        asyncio.ensure_future(_read(url, history, list(sizes), found, over, count=count)) for count in (False, True)
    ]
    try:
        yield found
    finally:
        over.set()
        await asyncio.gather(*tasks)
    for table, seen in history.items():
        if len(seen) != len(sizes):
            found.bad.append(f"{table} has shown {len(seen)} snapshots instead of {len(sizes)}")


async def _read(
    url: str, history: dict[str, list[int]], sizes: list[int], found: Found, over: asyncio.Event, *, count: bool
) -> None:
    what = "count(*) AS rows, min(tableoid)::int8 AS low, max(tableoid)::int8 AS high"
    latest = dict.fromkeys(history, 0)
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        while not over.is_set():
            for table, seen in history.items():
                source = f"public.{table}" if count else f"(SELECT tableoid, * FROM public.{table} LIMIT {FEW}) AS few"
                began = time.perf_counter()
                row = await connection.fetchrow(f"SELECT {what} FROM {source}")
                took_ms = (time.perf_counter() - began) * 1000
                if count:
                    found.counts += 1
                    found.longest_count_ms = max(found.longest_count_ms, took_ms)
                else:
                    found.reads += 1
                    found.longest_read_ms = max(found.longest_read_ms, took_ms)
                wanted = sizes if count else [FEW] * len(sizes)
                fault, latest[table] = fault_of(row, seen, wanted, latest[table])
                if fault:
                    found.bad.append(f"{table}: {fault}")
            await asyncio.sleep(COUNT_EVERY_S if count else EVERY_S)
    finally:
        await connection.close()


def fault_of(row: Mapping[str, Any], seen: list[int], sizes: list[int], latest: int) -> tuple[str, int]:
    """What is wrong with an answer, or nothing, and the place of the snapshot that it is of.

    A snapshot that was not seen before joins those that were. `latest` is the place that this connection saw last.
    """
    rows, low, high = row["rows"], row["low"], row["high"]
    if low is None or low != high:
        return f"{rows} rows, of two snapshots" if rows else "no rows", latest
    if low not in seen:
        seen.append(low)
    place = seen.index(low)
    if place >= len(sizes):
        return "a snapshot that nobody made", latest
    if place < latest:
        return "the old snapshot, after the new one was seen", latest
    return "" if rows == sizes[place] else f"{rows} rows instead of {sizes[place]}", place
