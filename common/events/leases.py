"""Leases: who works on an event, until when, under which claim; and what becomes of it when that goes wrong.

A claim's own id is the fencing token: the count of attempts alone could repeat after a crash, since a claim is
committed without waiting for the disk. Losing a claim does no harm; losing what was done under it would.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from common.events.model import Event
from common.events.owner import Owner, is_dead_here, parse_owner
from common.events.store import end_run, to_event

_FREE = "(claimed_until IS NULL OR claimed_until < clock_timestamp())"
_OPEN = "handled_at IS NULL AND dead_at IS NULL"
_DUE = f"{_OPEN} AND {_FREE} AND queue IS NOT NULL AND due_at <= clock_timestamp()"
_FENCED = f"id = :id AND claim_id = :claim AND {_OPEN}"


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is ours to handle."""

    event: Event
    claim_id: UUID
    attempt: int
    urgent: bool
    waited_s: float


class Refusal(Enum):
    """Why a delivered event is not ours to handle."""

    HANDLED = "it is handled"
    LEASED = "somebody works on it"
    EARLY = "it is not due"
    EXHAUSTED = "it has had its attempts"
    UNKNOWN = "there is no such event"


async def claim(
    connection: AsyncConnection, event_id: UUID, *, owner: Owner, lease_s: float, max_attempts: int
) -> Claim | Refusal:
    """Takes an event under a lease, in a commit of its own, and counts the attempt before the work.

    `connection` is in autocommit.
    """
    token = uuid4()
    row = (
        await connection.execute(
            text(
                "UPDATE rookery.events AS e SET claim_id = :claim, owner = :owner, claimed_at = clock_timestamp(),"
                " started_at = clock_timestamp(), claimed_until = clock_timestamp() + make_interval(secs => :lease),"
                f" attempts = attempts + 1 WHERE id = :id AND {_OPEN} AND {_FREE} AND due_at <= clock_timestamp()"
                " AND attempts < :most RETURNING *,"
                " (SELECT urgent FROM rookery.runs r WHERE r.id = e.correlationid) AS urgent,"
                " extract(epoch FROM clock_timestamp() - due_at) AS waited_s"
            ),
            {"claim": token, "owner": str(owner), "lease": lease_s, "id": event_id, "most": max_attempts},
        )
    ).first()
    if row is None:
        return await _refusal(connection, event_id, max_attempts)
    return Claim(
        event=to_event(row),
        claim_id=token,
        attempt=row.attempts,
        urgent=bool(row.urgent),
        waited_s=float(row.waited_s),
    )


async def _refusal(connection: AsyncConnection, event_id: UUID, max_attempts: int) -> Refusal:
    """Why an event could not be claimed."""
    row = (
        await connection.execute(
            text(
                f"SELECT NOT ({_OPEN}) AS handled, NOT {_FREE} AS leased, due_at > clock_timestamp() AS early, attempts"
                " FROM rookery.events WHERE id = :id"
            ),
            {"id": event_id},
        )
    ).first()
    if row is None:
        return Refusal.UNKNOWN
    if row.handled:
        return Refusal.HANDLED
    if row.leased:
        return Refusal.LEASED
    return Refusal.EXHAUSTED if row.attempts >= max_attempts and not row.early else Refusal.EARLY


async def renew(connection: AsyncConnection, held: Claim, *, lease_s: float) -> bool:
    """Prolongs a lease; False where it has gone to another attempt.

    Skips a row that is locked: its own transaction is about to end, and nobody else can take it meanwhile.
    """
    row = (
        await connection.execute(
            text(
                "WITH ours AS (SELECT id, claim_id, handled_at FROM rookery.events WHERE id = :id),"
                " free AS (SELECT id FROM rookery.events WHERE id = :id FOR UPDATE SKIP LOCKED),"
                " done AS (UPDATE rookery.events SET claimed_until = clock_timestamp() + make_interval(secs => :lease)"
                f" WHERE id IN (SELECT id FROM free) AND {_FENCED})"
                " SELECT claim_id = :claim AND handled_at IS NULL AS held FROM ours"
            ),
            {"id": held.event.id, "claim": held.claim_id, "lease": lease_s},
        )
    ).first()
    return bool(row and row.held)


async def fence(connection: AsyncConnection, held: Claim) -> bool:
    """Locks the claimed event for the rest of the transaction; False where the lease has gone to another attempt."""
    row = await connection.execute(
        text(f"SELECT 1 FROM rookery.events WHERE {_FENCED} FOR UPDATE"),
        {"id": held.event.id, "claim": held.claim_id},
    )
    return row.first() is not None


async def fail(connection: AsyncConnection, held: Claim, *, error: str, retry_in_s: float | None) -> Sequence[Event]:
    """Ends a failed attempt: the event is due again in `retry_in_s` seconds, or, with None, a dead letter.

    Returns the events that say how its run ended, if it did by this.
    """
    row = (
        await connection.execute(
            text(
                "UPDATE rookery.events SET claim_id = NULL, claimed_until = NULL, published_at = NULL, error = :error,"
                " due_at = CASE WHEN CAST(:wait AS float8) IS NULL THEN due_at"
                " ELSE clock_timestamp() + make_interval(secs => CAST(:wait AS float8)) END,"
                " dead_at = CASE WHEN CAST(:wait AS float8) IS NULL THEN clock_timestamp() END,"
                " errors = errors || jsonb_build_object('attempt', attempts, 'at', clock_timestamp(),"
                " 'owner', owner, 'error', CAST(:error AS text))"
                f" WHERE {_FENCED} RETURNING correlationid, id"
            ),
            {"id": held.event.id, "claim": held.claim_id, "error": error, "wait": retry_in_s},
        )
    ).first()
    if row is None or retry_in_s is not None:
        return []
    return await end_run(connection, row.correlationid, cause=row.id)


async def set_right(connection: AsyncConnection) -> int:
    """Moves open events back to now that were last touched in the future, and with them what they wait for.

    The database's clock went back since: without this they would wait until it gets there again. Each keeps the time
    that it had still to wait. Returns how many there were.
    """
    moved = await connection.execute(
        text(
            "UPDATE rookery.events AS e SET time = least(time, clock_timestamp()), due_at = due_at - ahead,"
            " published_at = published_at - ahead, claimed_at = claimed_at - ahead, started_at = started_at - ahead,"
            " claimed_until = claimed_until - ahead"
            " FROM (SELECT id, greatest(time, published_at, claimed_at, started_at) - clock_timestamp() AS ahead"
            f"  FROM rookery.events WHERE {_OPEN}"
            "  AND greatest(time, published_at, claimed_at, started_at) > clock_timestamp() + interval '1 s'"
            "  FOR UPDATE SKIP LOCKED) AS f WHERE e.id = f.id"
        )
    )
    return int(moved.rowcount)


class Freed(msgspec.Struct, frozen=True, kw_only=True):
    """A lease that was ended because its process is gone."""

    event: Event
    owner: str
    ran_s: float


async def free_dead(
    connection: AsyncConnection,
    *,
    host: str,
    refund: bool = False,
    is_dead: Callable[[Owner, str], bool] = is_dead_here,
) -> list[Freed]:
    """Ends the leases of processes of this host that are gone, so that a kill costs a moment and not a lease.

    With `refund`, their attempts do not count: the process was stopped in good order.
    """
    rows = await connection.execute(
        text(
            "SELECT id, owner, claim_id FROM rookery.events"
            f" WHERE {_OPEN} AND claimed_until > clock_timestamp() AND owner LIKE :host"
        ),
        {"host": f"{host}/%"},
    )
    freed = []
    for row in rows.all():
        owner = parse_owner(row.owner)
        if owner is None or not is_dead(owner, host):
            continue
        gone = await _free(connection, row.id, row.claim_id, refund=refund)
        if gone is not None:
            freed.append(gone)
    return freed


async def _free(connection: AsyncConnection, event_id: UUID, claim_id: UUID, *, refund: bool) -> Freed | None:
    """Ends one lease of a process that is gone, unless it has changed hands meanwhile."""
    row: Any = (
        await connection.execute(
            text(
                "UPDATE rookery.events SET claim_id = NULL, claimed_until = NULL, published_at = NULL,"
                " due_at = clock_timestamp(), attempts = attempts - :refund,"
                " error = 'its worker process was gone after ' ||"
                " round(extract(epoch FROM clock_timestamp() - claimed_at), 1) || ' s',"
                " errors = errors || jsonb_build_object('attempt', attempts, 'at', clock_timestamp(), 'owner', owner,"
                " 'error', 'its worker process was gone')"
                f" WHERE {_FENCED}"
                " RETURNING *, extract(epoch FROM clock_timestamp() - claimed_at) AS ran_s"
            ),
            {"id": event_id, "claim": claim_id, "refund": 1 if refund else 0},
        )
    ).first()
    return Freed(event=to_event(row), owner=row.owner, ran_s=float(row.ran_s)) if row is not None else None


async def bury_exhausted(connection: AsyncConnection, *, max_attempts: int) -> list[Event]:
    """Makes dead letters of events that have had their attempts and that nobody works on.

    Attempts count before the work, so an event that kills its worker ends here too. Returns the events that say how
    runs ended by it.
    """
    rows = await connection.execute(
        text(
            "UPDATE rookery.events SET dead_at = clock_timestamp(), claim_id = NULL,"
            " error = coalesce(error, 'no attempt came back') || '; gave up after ' || attempts || ' attempts'"
            " WHERE id IN (SELECT id FROM rookery.events"
            f" WHERE {_OPEN} AND {_FREE} AND queue IS NOT NULL AND attempts >= :most AND due_at <= clock_timestamp()"
            " FOR UPDATE SKIP LOCKED) RETURNING id, correlationid"
        ),
        {"most": max_attempts},
    )
    news: list[Event] = []
    for row in rows.all():
        news += await end_run(connection, row.correlationid, cause=row.id)
    return news


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """An event that may have to be published: where it goes, and whether and when it was before."""

    event: Event
    queue: str
    published_at: datetime | None
    published_long_ago: bool


async def anything_due(connection: AsyncConnection) -> bool:
    """Whether anything is due, unhandled and not leased, however lately it was published."""
    found = await connection.execute(text(f"SELECT EXISTS (SELECT FROM rookery.events WHERE {_DUE})"))
    return bool(found.scalar())


async def due_events(
    connection: AsyncConnection, *, emptied: bool = False, grace_s: float = 2.0, most: int = 500
) -> list[Due]:
    """What is due, unhandled and not leased, but for what was committed or published less than `grace_s` ago.

    Where Redis was `emptied`, what was published just now is lost too.

    The rows stay locked for the transaction, and rows that another sweep has locked are left to it.
    """
    rows = await connection.execute(
        text(
            "SELECT *, published_at < clock_timestamp() - interval '5 min' AS long_ago FROM rookery.events"
            f" WHERE {_DUE} AND (CASE WHEN published_at IS NULL"
            "   THEN due_at > time + interval '0.2 s' OR time < clock_timestamp() - make_interval(secs => :grace)"
            "   ELSE :emptied OR published_at < clock_timestamp() - make_interval(secs => :grace) END)"
            " ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED"
        ),
        {"grace": grace_s, "most": most, "emptied": emptied},
    )
    return [
        Due(
            event=to_event(row),
            queue=row.queue,
            published_at=row.published_at,
            published_long_ago=bool(row.long_ago),
        )
        for row in rows
    ]
