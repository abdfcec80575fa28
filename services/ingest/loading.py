"""From a source to the table of a snapshot: one pass that reads, checks, digests and copies, in flat memory.

The digest is over the bytes that PostgreSQL is given: canonical text of typed values, in the order of the source. So
it is the same for the same content, however the file is compressed, quoted or dated.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import msgspec
import pyarrow as pa
import pyarrow.csv as pacsv
from sqlalchemy.ext.asyncio import AsyncConnection

from common.datasets.spec import DatasetSpec
from common.snapshots.loading import Column, copy_rows, create_snapshot_table
from common.snapshots.names import exposed
from services.ingest.checks import Profile

# Chunks of a megabyte that may wait for PostgreSQL.
AHEAD = 3


class Loaded(msgspec.Struct, frozen=True):
    """What was copied."""

    digest: str
    columns: tuple[Column, ...]
    profile: Profile


async def load(
    connection: AsyncConnection, spec: DatasetSpec, number: int, batches: Generator[pa.RecordBatch]
) -> Loaded:
    """Copies the rows into a new table in the connection's transaction, which the caller commits or rolls back.

    Raises RejectedError where a row does not fit. The source is read in a thread, one batch ahead of PostgreSQL.
    """
    # One thread for all of it: each thread would keep Arrow's freed memory to itself.
    with ThreadPoolExecutor(1, thread_name_prefix="source") as thread:
        return await _load(connection, spec, number, batches, thread)


async def _load(
    connection: AsyncConnection,
    spec: DatasetSpec,
    number: int,
    batches: Generator[pa.RecordBatch],
    thread: ThreadPoolExecutor,
) -> Loaded:
    loop = asyncio.get_running_loop()
    first: pa.RecordBatch | None = await loop.run_in_executor(thread, next, batches, None)
    names = first.schema.names if first is not None else list(spec.columns)
    columns = tuple(Column(name, "double precision" if name in spec.numbers else "text") for name in names)
    await create_snapshot_table(connection, exposed(spec.name), number, columns)
    digest = hashlib.sha256(msgspec.json.encode(columns))
    profile = Profile(spec)

    def chunks() -> Iterator[memoryview]:
        batch = first
        while batch is not None:
            profile.add(batch)
            chunk = as_csv(batch)
            digest.update(chunk)
            yield chunk
            batch = next(batches, None)

    try:
        async with aclosing(_ahead(chunks(), thread)) as source:
            await copy_rows(connection, exposed(spec.name), number, source, format="csv")
    finally:
        batches.close()
    return Loaded(digest.hexdigest(), columns, profile)


def as_csv(batch: pa.RecordBatch) -> memoryview:
    """A batch as PostgreSQL's CSV: nothing for null, quotes around text, so that an empty text is told from null."""
    sink = pa.BufferOutputStream()
    pacsv.write_csv(batch, sink, pacsv.WriteOptions(include_header=False, quoting_style="needed"))
    return memoryview(sink.getvalue())


async def _ahead(chunks: Iterator[memoryview], thread: ThreadPoolExecutor) -> AsyncGenerator[memoryview]:
    """The chunks, made in the thread while those before are being sent, a few ahead."""
    loop = asyncio.get_running_loop()
    coming = deque(loop.run_in_executor(thread, next, chunks, None) for _ in range(AHEAD))
    try:
        while (chunk := await coming[0]) is not None:
            coming.popleft()
            coming.append(loop.run_in_executor(thread, next, chunks, None))
            yield chunk
    finally:
        # The thread is let finish: nothing may read the source after this returns.
        for future in coming:
            future.cancel()
        await asyncio.gather(*coming, return_exceptions=True)
