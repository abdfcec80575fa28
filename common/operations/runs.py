"""Runs: asking for one, and what became of them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.database.reading import read_all
from common.errors import ConflictError, NotFoundError
from common.events import store
from common.events.model import DatasetIngested, DatasetPreprocessed, Event, IngestRequested

Stage = Literal["ingest", "preprocess", "train"]


class RunEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a run, as people look at it: `waited_s` from due to begun, `seconds` from then to done."""

    id: UUID
    type: str
    source: str
    subject: str
    cause: UUID | None
    data: dict[str, Any]
    state: str
    time: datetime
    due_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    waited_s: float | None
    seconds: float | None
    attempts: int
    worker: str | None
    error: str | None


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a row of `rookery.runs` says of a run."""

    id: UUID
    dataset: str
    state: str
    outcome: str | None
    reason: str | None
    requested_by: str
    urgent: bool
    snapshot: int | None
    started_at: datetime
    ended_at: datetime | None


class Run(RunFacts, frozen=True, kw_only=True):
    """A run, as people look at it: seconds of work per stage; events only where one run is asked for."""

    seconds: float
    stages: dict[str, float] = {}
    models: list[str] = []
    events: list[RunEvent] = []


async def trigger(
    connection: AsyncConnection, dataset: str, *, requested_by: str, force: bool = False, stage: Stage = "ingest"
) -> tuple[UUID, list[Event]]:
    """Asks for a run of a data set, from a stage on; returns its id and what is to be published after the commit.

    Without `force`, a run that is under way is joined: it becomes urgent, and what of it waits for a minimum interval
    is due now. Raises NotFoundError where a later stage has no snapshot to begin with.
    """
    if stage == "ingest" and not force:
        joined = await _join(connection, dataset)
        if joined is not None:
            return joined
    first = await _first_event(connection, dataset, stage=stage, force=force, source=f"rookery/{requested_by}")
    await store.start_run(connection, first, dataset=dataset, requested_by=requested_by, urgent=True)
    return first.correlationid, [first]


async def _join(connection: AsyncConnection, dataset: str) -> tuple[UUID, list[Event]] | None:
    """Makes the runs under way urgent; the one to follow is the furthest, then the oldest. None without any."""
    rows = await connection.execute(
        text(
            "UPDATE rookery.runs AS r SET urgent = true WHERE dataset = :dataset AND state = 'running'"
            " RETURNING id, started_at, EXISTS (SELECT 1 FROM rookery.events e WHERE e.correlationid = r.id"
            "  AND e.queue IS NOT NULL AND e.type <> 'ingest.requested') AS beyond_ingest"
        ),
        {"dataset": dataset},
    )
    under_way = sorted(rows.all(), key=lambda row: (not row.beyond_ingest, row.started_at))
    if not under_way:
        return None
    hurried = await connection.execute(
        text(
            "UPDATE rookery.events SET due_at = clock_timestamp(), published_at = NULL WHERE correlationid = ANY(:runs)"
            " AND part_of_run AND handled_at IS NULL AND dead_at IS NULL AND due_at > clock_timestamp() RETURNING *"
        ),
        {"runs": [row.id for row in under_way]},
    )
    return under_way[0].id, [store.to_event(row) for row in hurried]


async def _first_event(connection: AsyncConnection, dataset: str, *, stage: Stage, force: bool, source: str) -> Event:
    """The event that a run from this stage on begins with."""
    if stage == "ingest":
        return IngestRequested.first(subject=dataset, source=source, dataset=dataset, force=force)
    row = (
        await connection.execute(
            text(
                "SELECT number, digest, rows, rows_kept, rows_dropped FROM rookery.snapshots"
                " WHERE dataset = :dataset AND state = 'ready'"
                " AND (:stage = 'preprocess' OR preprocessed_at IS NOT NULL)"
                " ORDER BY number DESC LIMIT 1"
            ),
            {"dataset": dataset, "stage": stage},
        )
    ).first()
    if row is None:
        raise NotFoundError(f"{dataset} has no snapshot to {stage} yet; run it from ingest on")
    if stage == "preprocess":
        return DatasetIngested.first(
            subject=dataset, source=source, dataset=dataset, snapshot=row.number, digest=row.digest, rows=row.rows
        )
    return DatasetPreprocessed.first(
        subject=dataset, source=source, dataset=dataset, snapshot=row.number, rows_kept=row.rows_kept,
        rows_dropped=row.rows_dropped or {},
    )  # fmt: skip


_RUNS = (
    "SELECT r.*, extract(epoch FROM coalesce(r.ended_at, clock_timestamp()) - r.started_at)::float8 AS seconds,"
    " coalesce((SELECT jsonb_object_agg(stage, seconds) FROM ("
    "   SELECT replace(queue, 'rookery.', '') AS stage,"
    "    extract(epoch FROM max(coalesce(handled_at, dead_at, clock_timestamp())) - min(started_at))::float8 AS seconds"
    "   FROM rookery.events e WHERE e.correlationid = r.id AND queue IS NOT NULL AND started_at IS NOT NULL"
    "    AND part_of_run AND coalesce(result, 'handled') = 'handled' GROUP BY queue) s), '{}'::jsonb) AS stages,"
    " coalesce((SELECT jsonb_agg(model || ' ' || version ORDER BY model) FROM rookery.model_versions v"
    "   WHERE v.run_id = r.id), '[]'::jsonb) AS models"
    " FROM rookery.runs r"
)


async def list_runs(
    connection: AsyncConnection,
    *,
    dataset: str | None = None,
    state: str | None = None,
    with_unchanged: bool = True,
    before: datetime | None = None,
    limit: int = 50,
) -> list[Run]:
    """Runs, the newest first. `state` is a state or an outcome."""
    return await read_all(
        connection,
        Run,
        f"{_RUNS} WHERE (CAST(:dataset AS text) IS NULL OR r.dataset = :dataset)"
        " AND (CAST(:state AS text) IS NULL OR r.state = :state OR r.outcome = :state)"
        " AND (:unchanged OR r.outcome IS DISTINCT FROM 'unchanged')"
        " AND (CAST(:before AS timestamptz) IS NULL OR r.started_at < :before)"
        " ORDER BY r.started_at DESC LIMIT :limit",
        {"dataset": dataset, "state": state, "unchanged": with_unchanged, "before": before, "limit": limit},
    )


async def get_run(connection: AsyncConnection, run_id: UUID) -> Run:
    """One run with its events, in the order of their time. Raises NotFoundError."""
    row = (await connection.execute(text(f"{_RUNS} WHERE r.id = :id"), {"id": run_id})).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no run {run_id}; it may have been pruned")
    events = await connection.execute(
        text(f"SELECT {EVENT_COLUMNS} FROM rookery.events WHERE correlationid = :id ORDER BY time"), {"id": run_id}
    )
    told = [to_run_event(dict(event)) for event in events.mappings()]
    return msgspec.convert(dict(row) | {"events": told}, Run)


# state: waiting (for its time), queued, running, retrying, done, superseded, discarded, dead.
EVENT_COLUMNS = (
    "id, type, source, subject, causationid AS cause, data, time, nullif(due_at, 'infinity') AS due_at, started_at,"
    " coalesce(handled_at, dead_at) AS ended_at, attempts, owner AS worker, error,"
    " extract(epoch FROM started_at - due_at)::float8 AS waited_s,"
    " extract(epoch FROM coalesce(handled_at, dead_at, clock_timestamp()) - started_at)::float8 AS seconds,"
    " CASE WHEN dead_at IS NOT NULL THEN 'dead'"
    "  WHEN handled_at IS NOT NULL THEN CASE result WHEN 'handled' THEN 'done' ELSE result END"
    "  WHEN claimed_until > clock_timestamp() THEN 'running'"
    "  WHEN due_at > clock_timestamp() THEN CASE WHEN attempts > 0 THEN 'retrying' ELSE 'waiting' END"
    "  ELSE 'queued' END AS state, correlationid AS run, dataset"
)


def to_run_event(row: Mapping[str, Any]) -> RunEvent:
    """The event that a row of EVENT_COLUMNS holds."""
    return msgspec.convert({name: row[name] for name in RunEvent.__struct_fields__}, RunEvent)


async def follow_run(engine: AsyncEngine, run_id: UUID, *, every_s: float = 0.2) -> AsyncIterator[Run]:
    """The run each time it changes, until it has ended, also across a restart of PostgreSQL. Raises NotFoundError."""
    last = b""
    while True:
        try:
            async with engine.connect() as connection:
                run = await get_run(connection, run_id)
        except (OSError, DBAPIError):
            await asyncio.sleep(1.0)
            continue
        seen = msgspec.json.encode([(event.id, event.state, event.attempts) for event in run.events] + [run.state])
        if seen != last:
            last = seen
            yield run
        if run.state != "running":
            return
        await asyncio.sleep(every_s)


async def find_run(connection: AsyncConnection, text_id: str) -> UUID:
    """The run whose id is, or ends with, a text. Raises NotFoundError, or ConflictError where several do."""
    rows = (
        await connection.execute(
            text("SELECT id FROM rookery.runs WHERE CAST(id AS text) LIKE :tail ORDER BY started_at DESC LIMIT 3"),
            {"tail": f"%{text_id.lower()}"},
        )
    ).scalars()
    return pick(list(rows), text_id, "run")


def pick(found: Sequence[UUID], text_id: str, what: str) -> UUID:
    """The one id that was found. Raises NotFoundError or ConflictError."""
    if not found:
        raise NotFoundError(f"there is no {what} {text_id}; give the last six digits of its id or all of it")
    if len(found) > 1:
        raise ConflictError(f"several {what}s end with {text_id}: {', '.join(map(str, found))}; give more of it")
    return found[0]
