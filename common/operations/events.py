"""Events: looking at them, and deciding about dead letters."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from common.errors import ConflictError, NotFoundError
from common.events import store
from common.events.model import Event
from common.operations.runs import EVENT_COLUMNS, RunEvent, pick


class EventDetail(RunEvent, frozen=True, kw_only=True):
    """An event with its run, its data set and the errors of all its attempts."""

    run: UUID
    dataset: str | None
    errors: list[dict[str, Any]]


_SELECT = f"SELECT {EVENT_COLUMNS}, errors FROM rookery.events"


def _detail(row: RowMapping) -> EventDetail:
    return msgspec.convert({name: row[name] for name in EventDetail.__struct_fields__}, EventDetail)


async def list_events(
    connection: AsyncConnection,
    *,
    kind: str | None = None,
    dataset: str | None = None,
    run: UUID | None = None,
    dead: bool = False,
    before: datetime | None = None,
    after: datetime | None = None,
    limit: int = 100,
) -> list[EventDetail]:
    """Events, the newest first; `dead` for the dead letters alone."""
    rows = await connection.execute(
        text(
            f"{_SELECT} WHERE (CAST(:kind AS text) IS NULL OR type = :kind)"
            " AND (CAST(:dataset AS text) IS NULL OR dataset = :dataset)"
            " AND (CAST(:run AS uuid) IS NULL OR correlationid = :run)"
            " AND (NOT :dead OR dead_at IS NOT NULL)"
            " AND (CAST(:before AS timestamptz) IS NULL OR time < :before)"
            " AND (CAST(:after AS timestamptz) IS NULL OR time > :after)"
            " ORDER BY time DESC, id DESC LIMIT :limit"
        ),
        {"kind": kind, "dataset": dataset, "run": run, "dead": dead, "before": before, "after": after, "limit": limit},
    )
    return [_detail(row) for row in rows.mappings()]


async def get_event(connection: AsyncConnection, event_id: UUID) -> EventDetail:
    """One event. Raises NotFoundError."""
    row = (await connection.execute(text(f"{_SELECT} WHERE id = :id"), {"id": event_id})).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no event {event_id}; it may have been pruned")
    return _detail(row)


async def find_event(connection: AsyncConnection, text_id: str) -> UUID:
    """The event whose id is, or ends with, a text. Raises NotFoundError, or ConflictError where several do."""
    rows = await connection.execute(
        text("SELECT id FROM rookery.events WHERE CAST(id AS text) LIKE :tail ORDER BY time DESC LIMIT 3"),
        {"tail": f"%{text_id.lower()}"},
    )
    return pick(list(rows.scalars()), text_id, "event")


async def retry_event(connection: AsyncConnection, event_id: UUID) -> Event:
    """Gives a dead letter new attempts, due now, and its run another life; returns it to be published.

    Raises NotFoundError or, where the event is no dead letter, ConflictError.
    """
    row = (
        await connection.execute(
            text(
                "UPDATE rookery.events SET dead_at = NULL, attempts_before = attempts_before + attempts, attempts = 0,"
                " due_at = clock_timestamp(), published_at = NULL, claim_id = NULL, claimed_until = NULL"
                " WHERE id = :id AND dead_at IS NOT NULL RETURNING *"
            ),
            {"id": event_id},
        )
    ).first()
    if row is None:
        raise await _not_dead(connection, event_id)
    await connection.execute(
        text(
            "UPDATE rookery.runs SET state = 'running', outcome = NULL, reason = NULL, ended_at = NULL WHERE id = :id"
        ),
        {"id": row.correlationid},
    )
    return store.to_event(row)


async def discard_event(connection: AsyncConnection, event_id: UUID, *, by: str) -> None:
    """Takes a dead letter off the list for good; its run stays failed.

    Raises NotFoundError or, where the event is no dead letter, ConflictError.
    """
    row = (
        await connection.execute(
            text(
                "UPDATE rookery.events SET dead_at = NULL, handled_at = clock_timestamp(), result = 'discarded',"
                " error = coalesce(error, '') || '; discarded by ' || CAST(:by AS text)"
                " WHERE id = :id AND dead_at IS NOT NULL RETURNING id"
            ),
            {"id": event_id, "by": by},
        )
    ).first()
    if row is None:
        raise await _not_dead(connection, event_id)


async def _not_dead(connection: AsyncConnection, event_id: UUID) -> NotFoundError | ConflictError:
    """Why an event could not be decided about."""
    event = await get_event(connection, event_id)
    return ConflictError(f"{event.type} {event_id} is no dead letter, it is {event.state}")
