"""Events: the tail, one event, dead letters and what is decided about them."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from common.operations.events import EventDetail, discard_event, get_event, retry_event
from services.console.reading import events as reading
from services.console.reading.attention import likely_cause
from services.console.reading.events import EventLine, Filters, Tick
from services.console.web.routing import Call

MOST = 500


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the tail is narrowed to. `type` is an event type or its first word; `before` is a time."""

    type: str = ""
    dataset: str = ""
    run: UUID | None = None
    q: str = ""
    unchanged: bool = False
    before: datetime | None = None
    limit: int = 100


class EventsPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of events, the newest first; `next` is the cursor of the following page."""

    events: list[EventLine]
    ticks: list[Tick]
    next: datetime | None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was given up: its errors, and what probably lies behind them."""

    event: EventLine
    errors: list[dict[str, Any]]
    attempts: int
    dead_at: datetime
    cause: str


class EventShown(msgspec.Struct, frozen=True, kw_only=True):
    """One event with what it led to."""

    event: EventDetail
    led_to: list[EventLine]


class Decided(msgspec.Struct, frozen=True):
    """What became of a dead letter; `delivered` is false while Redis is away."""

    event: UUID
    delivered: bool = True


async def list_events(call: Call) -> EventsPage:
    """A page of events."""
    query: EventsQuery = call.query
    filters = Filters(type=query.type, dataset=query.dataset, run=str(query.run) if query.run else "", q=query.q[:100])
    limit = max(1, min(query.limit, MOST))
    async with call.parts.engine.connect() as connection:
        found = await reading.list_event_lines(
            connection, filters, with_unchanged=query.unchanged, before=query.before, limit=limit
        )
        folded = not (query.unchanged or query.q or query.run or query.type or query.before)
        ticks = await reading.ticks_without_news(connection, found, query.dataset) if folded else []
    told = await reading.loadings(call.parts.redis) if query.before is None else []
    merged = [*found, *(line for line in told if _fits(line, filters, found, limit))]
    merged.sort(key=lambda line: (line.time, line.id), reverse=True)
    return EventsPage(events=merged, ticks=ticks, next=found[-1].time if len(found) == limit else None)


def _fits(line: EventLine, filters: Filters, found: list[EventLine], limit: int) -> bool:
    """Whether what inference told the stream belongs on this page of the tail."""
    if len(found) == limit and line.time < found[-1].time:
        return False
    text = f"{line.id} {line.run} {line.type} {line.subject} {line.data}".lower()
    return (
        (not filters.type or line.type == filters.type or line.type.startswith(f"{filters.type}."))
        and (not filters.dataset or line.dataset == filters.dataset)
        and (not filters.run or str(line.run) == filters.run)
        and filters.q.lower() in text
    )


async def rate(call: Call) -> list[int]:
    """Events a minute in the last hour, the current minute last."""
    async with call.parts.engine.connect() as connection:
        return await reading.rate(connection)


async def show_event(call: Call) -> EventShown:
    """One event."""
    async with call.parts.engine.connect() as connection:
        event = await get_event(connection, call.id())
        siblings = await reading.list_event_lines(connection, Filters(run=str(event.run)), limit=2000)
    return EventShown(event=event, led_to=[line for line in reversed(siblings) if line.cause == event.id])


async def list_dead(call: Call) -> list[DeadLetter]:
    """The dead letters, the newest first."""
    async with call.parts.engine.connect() as connection:
        rows = await reading.dead_letters(connection)
    return [
        DeadLetter(
            event=reading.to_line(row),
            errors=row["errors"],
            attempts=row["attempts"] + row["attempts_before"],
            dead_at=row["dead_at"],
            cause=likely_cause(row["error"]),
        )
        for row in rows
    ]


async def retry(call: Call) -> Decided:
    """Gives a dead letter new attempts."""
    async with call.parts.engine.begin() as connection:
        event = await retry_event(connection, call.id())
    return Decided(event.id, await call.parts.outbox.publish([event]))


async def discard(call: Call) -> Decided:
    """Takes a dead letter off the list."""
    async with call.parts.engine.begin() as connection:
        await discard_event(connection, call.id(), by=call.actor)
    return Decided(call.id())
