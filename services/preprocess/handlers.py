"""What preprocess does: `dataset.ingested` becomes the encoded table of that snapshot, and `dataset.preprocessed`."""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec
from sqlalchemy import func
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from common.datasets import DatasetSpec, find_spec
from common.errors import DataError, NotFoundError
from common.events.handling import Handlers
from common.events.model import DatasetIngested, DatasetPreprocessed, DatasetRejected, Event
from common.events.unit import UnitOfWork
from common.logs import get_logger
from common.snapshots import Snapshot, expose, get_snapshot
from common.snapshots.names import exposed_preprocessed
from common.snapshots.records import table_columns, update_snapshot, want
from services.preprocess.cleaning import Cleaned, encode, find_features, lock_snapshot

log = get_logger(__name__)


async def on_dataset_ingested(event: DatasetIngested, unit: UnitOfWork) -> Sequence[Event]:
    """Encodes a snapshot, or finds it encoded; announces it with what was kept and dropped.

    Raises NotFoundError where the snapshot is gone.
    """
    name, number = event.data.dataset, event.data.snapshot
    spec = await asyncio.to_thread(find_spec, unit.settings.datasets_dir, name)
    try:
        cleaned = await _cleaned(unit.engine, spec, number)
    except DataError as error:
        log.warning("data set rejected", dataset=name, snapshot=number, reason=error.message)
        return [DatasetRejected.caused_by(event, dataset=name, reason=error.message)]
    connection = await unit.connection()
    await update_snapshot(
        connection,
        name,
        number,
        features=msgspec.to_builtins(cleaned.features),
        rows_kept=cleaned.rows_kept,
        rows_dropped=cleaned.rows_dropped,
        preprocessed_at=func.clock_timestamp(),
    )
    table = exposed_preprocessed(name)
    await want(connection, table, name, number)
    await unit.supersede(name, number - 1)
    unit.after_commit(partial(_expose, unit.engine, table))
    log.info("snapshot preprocessed", dataset=name, snapshot=number, rows_kept=cleaned.rows_kept)
    preprocessed = DatasetPreprocessed.caused_by(
        event, dataset=name, snapshot=number, rows_kept=cleaned.rows_kept, rows_dropped=cleaned.rows_dropped
    )
    unit.pace(preprocessed, spec.train_min_interval_s)
    return [preprocessed]


HANDLERS: Handlers = {DatasetIngested: on_dataset_ingested}


async def _cleaned(engine: AsyncEngine, spec: DatasetSpec, number: int) -> Cleaned:
    """The snapshot's features with its encoded table made, by this attempt or an earlier one.

    A table whose features were recorded is final: it may be shown and read, so it is never made again.
    """
    async with engine.begin() as connection:
        await lock_snapshot(connection, spec.name, number)
        snapshot = await get_snapshot(connection, spec.name, number)
        if snapshot is None or snapshot.state != "ready":
            raise NotFoundError(f"snapshot {number} of {spec.name!r} is gone")
        made = await table_columns(connection, exposed_preprocessed(spec.name), number)
        if snapshot.features is not None and made:
            return Cleaned(snapshot.features, snapshot.rows_kept, snapshot.rows_dropped)
        _check_columns(spec, snapshot)
        cleaned = await find_features(connection, spec, number, rows=snapshot.rows)
        try:
            await encode(connection, spec, number, cleaned.features)
        except DBAPIError as error:
            if not str(getattr(error.orig, "sqlstate", "")).startswith("54"):  # a limit of PostgreSQL
                raise
            raise DataError(f"the encoded table is too wide for PostgreSQL: {error.orig}") from error
        return cleaned


def _check_columns(spec: DatasetSpec, snapshot: Snapshot) -> None:
    """Raises DataError where the spec has changed since the snapshot was loaded, and asks for what it lacks."""
    types = {column["name"]: column["type"] for column in snapshot.columns}
    expected = {name: "double precision" if name in spec.numbers else "text" for name in spec.columns}
    wrong = sorted(name for name, kind in expected.items() if types.get(name) != kind)
    if wrong:
        raise DataError(f"the spec has changed since this snapshot was loaded, which has no such {', '.join(wrong)}")


async def _expose(engine: AsyncEngine, table: str) -> None:
    await expose(engine, table)
