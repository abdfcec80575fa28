"""What Postgres knows of a data set before its source is read; and the lock that lets one ingest read at a time."""

import asyncio
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from sqlalchemy import TextClause, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.database.tables import events, rejections
from common.datasets.spec import DatasetSpec
from common.events.model import CandidatesScored, DatasetIngested, DatasetPreprocessed, TrainingRequested
from common.snapshots import Snapshot, latest_snapshot
from common.snapshots.names import exposed, exposed_preprocessed, qualified
from common.snapshots.records import table_columns
from services.ingest.decisions import Known, minors

# What a model depends on besides data and spec.
LIBRARIES = ("numpy", "scikit-learn", "joblib")
# Below this many rows the last snapshot's are counted at every look: it takes a few milliseconds.
COUNTED_ROWS = 100_000
_LATER = (DatasetIngested, DatasetPreprocessed, TrainingRequested, CandidatesScored)
_LOOK_S = 0.25


def library_versions() -> dict[str, str]:
    """The minor versions of Python and of the libraries that a model is made by."""
    return minors({"python": platform.python_version()} | {name: version(name) for name in LIBRARIES})


async def known_of(engine: AsyncEngine, spec: DatasetSpec) -> Known:
    """The last snapshot, whether it is intact, and the last rejection since."""
    async with engine.connect() as connection:
        latest = await latest_snapshot(connection, spec.name)
        rejected = (
            await connection.execute(
                select(rejections.c.fingerprint, rejections.c.spec_digest, rejections.c.reason)
                .where(rejections.c.dataset == spec.name)
                .order_by(rejections.c.at.desc())
                .limit(1)
            )
        ).first()
        intact = latest is not None and await is_intact(connection, latest)
    return Known(
        latest=latest,
        intact=intact,
        libraries=library_versions(),
        wrong=rejected.fingerprint if rejected else None,
        wrong_spec_digest=(rejected.spec_digest or "") if rejected else "",
        reason=rejected.reason if rejected else "",
    )


async def is_intact(connection: AsyncConnection, snapshot: Snapshot) -> bool:
    """Whether the tables of a snapshot are there as they were made; a trigger refuses changes of their rows."""
    columns = await table_columns(connection, exposed(snapshot.dataset), snapshot.number)
    if columns != [(column["name"], column["type"]) for column in snapshot.columns]:
        return False
    if snapshot.features is not None and not await table_columns(
        connection, exposed_preprocessed(snapshot.dataset), snapshot.number
    ):
        return False
    if snapshot.rows > COUNTED_ROWS:
        return True
    name = qualified(exposed(snapshot.dataset), snapshot.number)
    rows = (await connection.exec_driver_sql(f"SELECT count(*) FROM ONLY {name}")).scalar_one()
    return bool(rows == snapshot.rows)


async def is_under_way(engine: AsyncEngine, dataset: str) -> bool:
    """Whether an event of a later stage is open for the data set: what may be missing is then being made."""
    async with engine.connect() as connection:
        found = await connection.scalar(
            select(func.count())
            .select_from(events)
            .where(
                events.c.dataset == dataset,
                events.c.type.in_([kind.type for kind in _LATER]),
                events.c.handled_at.is_(None),
                events.c.dead_at.is_(None),
            )
        )
    return bool(found)


@asynccontextmanager
async def reading_lock(
    engine: AsyncEngine, dataset: str, *, patience_s: float
) -> AsyncIterator[AsyncConnection | None]:
    """A connection that holds the right to read a data set's source, or None where another has it all the while.

    The snapshot is loaded on this same connection, so who has lost the lock has lost the load as well.
    """
    async with engine.connect() as connection:
        if not await _try_lock(connection, dataset, patience_s):
            yield None
            return
        try:
            yield connection
        finally:
            try:
                await connection.rollback()
                await connection.execute(_with_key("pg_advisory_unlock"), {"dataset": dataset})
                await connection.commit()
            except DBAPIError:
                await connection.invalidate()  # gone, and the lock with it


async def _try_lock(connection: AsyncConnection, dataset: str, patience_s: float) -> bool:
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        locked = await connection.scalar(_with_key("pg_try_advisory_lock"), {"dataset": dataset})
        await connection.commit()
        if locked or asyncio.get_running_loop().time() >= deadline:
            return bool(locked)
        await asyncio.sleep(_LOOK_S)


def _with_key(function: str) -> TextClause:
    return text(f"SELECT {function}(hashtext('rookery ingest'), hashtext(:dataset))")
