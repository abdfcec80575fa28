"""Events in PostgreSQL: the outbox that they leave by, the leases under which they are handled, and how runs end.

All functions take a connection of the caller's transaction and say so where they need one of their own. Times are the
database's: one clock for all processes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from common.database import tables
from common.events.model import EVENT_TYPES, Event, data_type
from common.events.runs import Run, RunEnd, RunEvent, end_of, ended_event
from common.events.topology import queue_of

# asyncpg knows an infinite timestamp as datetime.max.
NEVER = datetime.max  # noqa: DTZ901 - a mark, not a moment

_FIELDS = "id, type, source, subject, dataset, correlationid, causationid, data, time, queue, attempts"


def to_event(row: Row[Any]) -> Event:
    """The event that a row of `rookery.events` holds."""
    kind = EVENT_TYPES[row.type]
    return kind(
        data=msgspec.convert(row.data, data_type(kind)),
        subject=row.subject,
        id=row.id,
        source=row.source,
        time=row.time,
        correlationid=row.correlationid,
        causationid=row.causationid,
    )


def to_row(event: Event) -> dict[str, Any]:
    """The columns of an event that is about to be committed. What nobody handles is born handled."""
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "dataset": event.dataset,
        "correlationid": event.correlationid,
        "causationid": event.causationid,
        "data": msgspec.to_builtins(event.data),
        "queue": queue_of(event.type),
        "part_of_run": event.part_of_run,
        "time": text("clock_timestamp()"),
    }


async def insert_events(
    connection: AsyncConnection, events: Sequence[Event], *, pace_s: Mapping[UUID, float], hold_reports: bool = True
) -> list[Event]:
    """Puts events into the outbox; returns those that are due at once. One whose id is known is left out.

    Their time is the database's, whatever clock their process has: by it the sweep tells what was committed just now.
    `pace_s` gives, by event id, the least number of seconds since an event of its type was last begun for its data set.
    Events that are no part of their run wait until it ends (`hold_reports`).
    """
    due_now = []
    for event in events:
        row = to_row(event)
        row["due_at"], ready = await _due(connection, event, pace_s.get(event.id, 0.0), hold=hold_reports)
        if row["queue"] is None:
            row["handled_at"], row["result"] = text("clock_timestamp()"), "handled"
        statement = insert(tables.events).values(row).on_conflict_do_nothing().returning(tables.events.c.time)
        time = (await connection.execute(statement)).scalar()
        if time is not None and ready:
            due_now.append(msgspec.structs.replace(event, time=time))
    return due_now


async def _due(connection: AsyncConnection, event: Event, pace_s: float, *, hold: bool) -> tuple[Any, bool]:
    """When an event is due, as an SQL value, and whether that is now."""
    if hold and not event.part_of_run:
        return text("'infinity'::timestamptz"), False
    if pace_s <= 0:
        return text("clock_timestamp()"), True
    row = (
        await connection.execute(
            text(
                "SELECT began + make_interval(secs => :pace) AS due,"
                " began + make_interval(secs => :pace) <= clock_timestamp() AS ready"
                # Nothing has begun in the future, whatever the clock said before it was set back.
                " FROM (SELECT CASE WHEN max(started_at) IS NOT NULL THEN least(max(started_at), clock_timestamp()) END"
                " AS began FROM rookery.events"
                " WHERE dataset = :dataset AND type = :type AND started_at IS NOT NULL) AS b"
            ),
            {"pace": pace_s, "dataset": event.dataset, "type": event.type},
        )
    ).one()
    return (text("clock_timestamp()"), True) if row.due is None or row.ready else (row.due, False)


async def start_run(
    connection: AsyncConnection, first: Event, *, dataset: str, requested_by: str, urgent: bool
) -> bool:
    """Begins the run that an event begins, and puts the event into the outbox; False where the run exists."""
    statement = (
        insert(tables.runs)
        .values(id=first.correlationid, dataset=dataset, requested_by=requested_by, urgent=urgent)
        .on_conflict_do_nothing()
        .returning(tables.runs.c.id)
    )
    if (await connection.execute(statement)).first() is None:
        return False
    await insert_events(connection, [first], pace_s={})
    return True


async def handled(connection: AsyncConnection, event_id: UUID) -> None:
    """Marks a claimed event as handled and ends its lease."""
    await connection.execute(
        text(
            "UPDATE rookery.events SET handled_at = clock_timestamp(), result = 'handled', error = NULL,"
            " claimed_until = NULL WHERE id = :id"
        ),
        {"id": event_id},
    )


async def supersede(connection: AsyncConnection, *, dataset: str, snapshot: int, by: UUID) -> list[Event]:
    """Ends the waiting events of a data set about this snapshot or older ones, but for run `by`, and runs they end.

    An event that somebody works on goes on: its training is not wasted, and its version is not made live over a
    newer one. Returns the events that say how runs ended.
    """
    rows = await connection.execute(
        text(
            "UPDATE rookery.events SET handled_at = clock_timestamp(), result = 'superseded',"
            " error = 'snapshot ' || CAST(:snapshot AS text) || ' overtook it'"
            " WHERE id IN (SELECT id FROM rookery.events WHERE dataset = :dataset AND queue IS NOT NULL AND part_of_run"
            "  AND handled_at IS NULL AND dead_at IS NULL AND correlationid <> :by"
            "  AND CAST(data->>'snapshot' AS integer) <= :snapshot"
            "  AND (claimed_until IS NULL OR claimed_until < clock_timestamp()) FOR UPDATE SKIP LOCKED)"
            " RETURNING id, correlationid"
        ),
        {"dataset": dataset, "snapshot": snapshot, "by": by},
    )
    ended: list[Event] = []
    for run, cause in {row.correlationid: row.id for row in rows}.items():
        ended += await end_run(connection, run, cause=cause)
    return ended


async def end_run(connection: AsyncConnection, run_id: UUID, *, cause: UUID) -> list[Event]:
    """Ends the run if no event of it is open; returns what became due by that, the news of the end first.

    The run's row is locked first: two families that finish at once would otherwise each see the other open.
    """
    run = (
        await connection.execute(
            text("SELECT id, dataset, started_at, state FROM rookery.runs WHERE id = :id FOR UPDATE"), {"id": run_id}
        )
    ).first()
    if run is None or run.state != "running":
        return []
    rows = await connection.execute(
        text(
            "SELECT type, subject, handled_at IS NULL AND dead_at IS NULL AND part_of_run AS open,"
            " dead_at IS NOT NULL AND part_of_run AS dead, result, error, data->>'reason' AS reason"
            " FROM rookery.events WHERE correlationid = :id ORDER BY time"
        ),
        {"id": run_id},
    )
    end = end_of([RunEvent(**dict(row)) for row in rows.mappings()])
    if end is None:
        return []
    return await _end(connection, Run(id=run.id, dataset=run.dataset, started_at=run.started_at), end, cause)


async def _end(connection: AsyncConnection, run: Run, end: RunEnd, cause: UUID) -> list[Event]:
    """Writes how a run ended and releases what waited for that."""
    seconds = (
        await connection.execute(
            text(
                "UPDATE rookery.runs SET state = :state, outcome = :outcome, reason = :reason,"
                " ended_at = clock_timestamp() WHERE id = :id RETURNING extract(epoch FROM ended_at - started_at)"
            ),
            {"state": end.state, "outcome": end.outcome, "reason": end.reason, "id": run.id},
        )
    ).scalar_one()
    news = await insert_events(
        connection, [ended_event(run, end, cause=cause, seconds=float(seconds))], pace_s={}, hold_reports=False
    )
    released = await connection.execute(
        text(
            f"UPDATE rookery.events SET due_at = clock_timestamp() WHERE correlationid = :id"
            f" AND due_at = 'infinity' AND handled_at IS NULL RETURNING {_FIELDS}"
        ),
        {"id": run.id},
    )
    return [*news, *(to_event(row) for row in released)]


async def mark_published(connection: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Records that events were handed to Redis."""
    await connection.execute(
        text("UPDATE rookery.events SET published_at = clock_timestamp() WHERE id = ANY(:ids)"), {"ids": list(ids)}
    )
