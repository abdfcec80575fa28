"""Data sets: their tables in PostgreSQL, their snapshots, what was refused."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from common.database.reading import read_all, read_first
from common.errors import NotFoundError


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot. `in_use`: a table shows it, or it is the newest that is ready."""

    number: int
    state: str
    in_use: bool
    digest: str | None
    rows: int | None
    rows_kept: int | None
    rows_dropped: dict[str, int]
    columns: list[dict[str, Any]]
    features: dict[str, Any] | None
    libraries: dict[str, str]
    run: UUID | None
    created_at: datetime
    preprocessed_at: datetime | None
    dropped_at: datetime | None
    models: list[str]


class TableLine(msgspec.Struct, frozen=True, kw_only=True):
    """A table in `public`: which snapshot it shows, and which it is to show."""

    name: str
    shown: int | None
    wanted: int
    rows: int | None
    columns: int
    waits_for: str | None


class PastRejection(msgspec.Struct, frozen=True, kw_only=True):
    """A refused snapshot."""

    event: UUID
    run: UUID | None
    reason: str
    rows: list[dict[str, Any]]
    at: datetime


_SNAPSHOTS = (
    "SELECT s.number, s.state, s.digest, s.rows, s.rows_kept, coalesce(s.rows_dropped, '{}'::jsonb) AS rows_dropped,"
    " coalesce(s.columns, '[]'::jsonb) AS columns, s.features, coalesce(s.libraries, '{}'::jsonb) AS libraries,"
    " s.run_id AS run, s.created_at, s.preprocessed_at, s.dropped_at,"
    " coalesce(EXISTS (SELECT 1 FROM rookery.exposures x WHERE x.dataset = s.dataset AND x.shown = s.number)"
    "  OR (s.state = 'ready' AND s.number = (SELECT max(n.number) FROM rookery.snapshots n"
    "   WHERE n.dataset = s.dataset AND n.state = 'ready')), false) AS in_use,"
    " coalesce((SELECT jsonb_agg(v.model || ' ' || v.version ORDER BY v.model, v.version) FROM rookery.model_versions v"
    "  WHERE v.dataset = s.dataset AND v.snapshot = s.number AND v.state IN ('published', 'held')), '[]'::jsonb)"
    "  AS models FROM rookery.snapshots s WHERE s.dataset = :dataset"
)


async def list_snapshots(
    connection: AsyncConnection, dataset: str, *, before: int | None = None, limit: int = 30
) -> list[Snapshot]:
    """Snapshots that were kept, the newest first."""
    return await read_all(
        connection,
        Snapshot,
        f"{_SNAPSHOTS} AND s.digest IS NOT NULL AND (CAST(:before AS integer) IS NULL OR s.number < :before)"
        " ORDER BY s.number DESC LIMIT :limit",
        {"dataset": dataset, "before": before, "limit": limit},
    )


async def get_snapshot(connection: AsyncConnection, dataset: str, number: int) -> Snapshot:
    """One snapshot. Raises NotFoundError."""
    found = await read_first(
        connection, Snapshot, f"{_SNAPSHOTS} AND s.number = :number", {"dataset": dataset, "number": number}
    )
    if found is None:
        raise NotFoundError(f"{dataset} has no snapshot {number}")
    return found


async def list_tables(connection: AsyncConnection, dataset: str) -> list[TableLine]:
    """The tables in `public` that show a data set. Rows as PostgreSQL's own statistics estimate them for large ones."""
    return await read_all(
        connection,
        TableLine,
        "SELECT x.table_name AS name, x.shown, x.wanted, x.waits_for,"
        " CASE WHEN x.table_name = x.dataset THEN s.rows ELSE s.rows_kept END AS rows,"
        " (SELECT count(*) FROM information_schema.columns c WHERE c.table_schema = 'public'"
        "  AND c.table_name = x.table_name) AS columns"
        " FROM rookery.exposures x LEFT JOIN rookery.snapshots s ON s.dataset = x.dataset AND s.number = x.shown"
        " WHERE x.dataset = :dataset ORDER BY x.table_name",
        {"dataset": dataset},
    )


async def list_rejections(connection: AsyncConnection, dataset: str, *, limit: int = 10) -> list[PastRejection]:
    """What was refused, the newest first."""
    return await read_all(
        connection,
        PastRejection,
        "SELECT r.event_id AS event, e.correlationid AS run, r.reason, r.at,"
        " coalesce(nullif(r.rows, 'null'::jsonb), '[]'::jsonb) AS rows"
        " FROM rookery.rejections r LEFT JOIN rookery.events e ON e.id = r.event_id"
        " WHERE r.dataset = :dataset ORDER BY r.at DESC LIMIT :limit",
        {"dataset": dataset, "limit": limit},
    )
