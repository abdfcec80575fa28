"""The sweep: sends what is due and was not sent, sends again what was lost, and frees what dead processes held.

Driven by beat, once a second or so; a second one at the same time does no harm.
"""

import asyncio
from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from common.events import leases, store
from common.events.leases import Due
from common.events.model import Event, IngestRequested
from common.events.publisher import Publisher
from common.logs import get_logger
from common.settings import Settings

log = get_logger(__name__)


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What one sweep did."""

    published: int = 0
    freed: int = 0
    buried: int = 0


async def sweep_once(engine: AsyncEngine, publisher: Publisher, settings: Settings, *, host: str) -> Swept:
    """One sweep. Raises PublishError where Redis is away; what PostgreSQL was told by then stays."""
    freed = await _free(engine, publisher, host)
    async with engine.begin() as connection:
        moved = await leases.set_right(connection)
        news = await leases.bury_exhausted(connection, max_attempts=settings.max_attempts)
    if moved:
        log.warning("the database's clock went back", events=moved)
    for event in news:
        log.error("run ended by a dead letter", run_id=str(event.correlationid), event_id=str(event.causationid))
    await asyncio.to_thread(publisher.publish, news)
    published = await _publish_due(engine, publisher)
    swept = Swept(published=published, freed=freed, buried=len(news))
    if swept != Swept():
        log.info("swept", **msgspec.to_builtins(swept))
    return swept


async def _free(engine: AsyncEngine, publisher: Publisher, host: str) -> int:
    """Frees what dead processes of this host held, and sends it again at once."""
    async with engine.begin() as connection:
        freed = await leases.free_dead(connection, host=host)
    for gone in freed:
        log.warning(
            "lease of a dead process freed", event_id=str(gone.event.id), type=gone.event.type, owner=gone.owner,
            ran_s=round(gone.ran_s, 3),
        )  # fmt: skip
    await _send(engine, publisher, [gone.event for gone in freed])
    return len(freed)


async def _publish_due(engine: AsyncEngine, publisher: Publisher) -> int:
    """Publishes what is due and not on its way."""
    async with engine.connect() as connection:
        if not await leases.anything_due(connection):
            return 0
    emptied = await asyncio.to_thread(publisher.was_emptied)
    async with engine.begin() as connection:
        due = await leases.due_events(connection, emptied=emptied)
        if not due:
            return 0
        lost = await asyncio.to_thread(_not_on_their_way, due, publisher)
        new = [one.event for one in lost if one.published_at is None]
        again = [one.event for one in lost if one.published_at is not None]
        await asyncio.to_thread(publisher.publish, new)
        await asyncio.to_thread(publisher.publish, again, tell=False)
        await store.mark_published(connection, [one.event.id for one in lost])
    return len(lost)


def _not_on_their_way(due: Sequence[Due], publisher: Publisher) -> list[Due]:
    """Those that were never published, or whose message is not in its queue any more.

    Where a queue is too long to read, only what was published long ago is taken for lost.
    """
    queues = {one.queue for one in due if one.published_at is not None}
    waiting = {queue: publisher.queued_ids(queue) for queue in queues}
    return [one for one in due if one.published_at is None or _is_lost(one, waiting[one.queue])]


def _is_lost(one: Due, waiting: Iterable[UUID] | None) -> bool:
    return one.published_long_ago if waiting is None else one.event.id not in waiting


async def _send(engine: AsyncEngine, publisher: Publisher, events: Sequence[Event]) -> None:
    """Publishes events again, for their queues alone: the stream has told of them."""
    if not events:
        return
    await asyncio.to_thread(publisher.publish, events, tell=False)
    async with engine.begin() as connection:
        await store.mark_published(connection, [event.id for event in events])


async def forget_overtaken(engine: AsyncEngine, _settings: Settings) -> int:
    """Takes dead requests to ingest off the list where a later one of the data set came to an end; returns how many.

    It asked for the same, so a source that is away for a day is one dead letter, and none once it has come back. What
    a person forced asked for more and stays.
    """
    async with engine.begin() as connection:
        gone = await connection.execute(
            text(
                "UPDATE rookery.events AS e SET dead_at = NULL, handled_at = clock_timestamp(), result = 'superseded',"
                " error = coalesce(error, '') || '; a later request overtook it'"
                " WHERE type = :kind AND dead_at IS NOT NULL AND NOT coalesce((data->>'force')::boolean, false)"
                " AND EXISTS (SELECT FROM rookery.events l WHERE l.dataset = e.dataset AND l.type = e.type"
                "  AND l.time > e.time AND (l.dead_at IS NOT NULL OR l.result = 'handled'))"
            ),
            {"kind": IngestRequested.type},
        )
    return int(gone.rowcount)


async def prune(engine: AsyncEngine, settings: Settings, *, most: int = 5_000) -> int:
    """Deletes runs without news, and their events, that ended longer ago than the retention; returns how many.

    Runs that trained something are kept as long as a version of theirs is: the lineage of a model goes down to them.
    """
    async with engine.begin() as connection:
        gone = await connection.execute(
            text(
                "WITH old AS (SELECT id FROM rookery.runs r WHERE state <> 'running'"
                " AND ended_at < clock_timestamp() - make_interval(days => :days)"
                " AND NOT EXISTS (SELECT 1 FROM rookery.model_versions v WHERE v.run_id = r.id) LIMIT :most),"
                " news AS (DELETE FROM rookery.events WHERE correlationid IN (SELECT id FROM old)"
                "   AND (handled_at IS NOT NULL OR dead_at IS NOT NULL))"
                " DELETE FROM rookery.runs WHERE id IN (SELECT id FROM old) RETURNING id"
            ),
            {"days": settings.retention_days, "most": most},
        )
        return len(gone.all())
