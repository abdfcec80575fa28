"""Events as the tail shows them, the rate at which they come, and what inference told the stream alone."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from common.operations.runs import EVENT_COLUMNS
from services.console.reading.entries import newest

_LOOKED_AT = 300
# A page does not wait longer than this for a Redis that takes connections but does not answer.
_REDIS_S = 0.7


class EventLine(msgspec.Struct, frozen=True, kw_only=True):
    """An event in a list."""

    id: UUID
    type: str
    source: str
    subject: str
    dataset: str | None
    run: UUID
    cause: UUID | None
    data: dict[str, Any]
    state: str
    time: datetime
    due_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    waited_s: float | None = None
    seconds: float | None = None
    attempts: int = 0
    worker: str | None = None
    error: str | None = None
    queue: str | None = None


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of events is narrowed to. Type: an event type, or its first word (`dataset`, `model`)."""

    type: str = ""
    dataset: str = ""
    run: str = ""
    q: str = ""


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """Ticks of a data set that found nothing new, between two moments of the tail."""

    dataset: str
    count: int
    first_at: datetime
    last_at: datetime


COLUMNS = f"{EVENT_COLUMNS}, replace(queue, 'rookery.', '') AS queue"
# A word's events lie between `word.` and `word/`: the slash follows the dot.
_TYPE = "(:type = '' OR e.type = :type OR (e.type >= :type || '.' AND e.type < :type || '/'))"
_DATASET = "(:dataset = '' OR e.dataset = :dataset)"
_RUN = "(CAST(:run AS uuid) IS NULL OR e.correlationid = CAST(:run AS uuid))"
_SEARCH = (
    "(:q = '' OR CAST(e.id AS text) LIKE '%' || lower(:q) || '%' OR CAST(e.correlationid AS text)"
    " LIKE '%' || lower(:q) || '%' OR e.type ILIKE '%' || :q || '%' OR e.subject ILIKE '%' || :q || '%'"
    " OR e.error ILIKE '%' || :q || '%' OR CAST(e.data AS text) ILIKE '%' || :q || '%')"
)
_BEFORE = "(CAST(:before AS timestamptz) IS NULL OR e.time < :before)"
_NEWS = "EXISTS (SELECT 1 FROM rookery.runs r WHERE r.id = e.correlationid AND r.outcome IS DISTINCT FROM 'unchanged')"


async def list_event_lines(
    connection: AsyncConnection,
    filters: Filters,
    *,
    with_unchanged: bool = False,
    before: datetime | None = None,
    limit: int = 100,
) -> list[EventLine]:
    """Events, the newest first; those of ticks that found nothing only where asked for."""
    news = "true" if with_unchanged or filters.run or filters.q else _NEWS
    columns = COLUMNS.replace("id, type", "e.id, e.type", 1)
    rows = await connection.execute(
        text(
            f"SELECT {columns} FROM rookery.events e"
            f" WHERE {news} AND {_TYPE} AND {_DATASET} AND {_RUN} AND {_SEARCH} AND {_BEFORE}"
            " ORDER BY e.time DESC, e.id DESC LIMIT :limit"
        ),
        {**msgspec.structs.asdict(filters), "run": filters.run or None, "before": before, "limit": limit},
    )
    return [to_line(dict(row)) for row in rows.mappings()]


async def dead_letters(connection: AsyncConnection, *, limit: int = 50) -> list[dict[str, Any]]:
    """What was given up, the newest first, with the errors of all attempts."""
    rows = await connection.execute(
        text(
            f"SELECT {COLUMNS}, errors, attempts_before, dead_at FROM rookery.events WHERE dead_at IS NOT NULL"
            " ORDER BY dead_at DESC LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


def to_line(row: dict[str, Any]) -> EventLine:
    """The event that a row of COLUMNS holds."""
    return msgspec.convert({name: row[name] for name in EventLine.__struct_fields__}, EventLine)


async def ticks_without_news(connection: AsyncConnection, lines: list[EventLine], dataset: str) -> list[Tick]:
    """Ticks that found nothing, in the gaps between the events of a page."""
    edges = sorted({line.time for line in lines})
    rows = await connection.execute(
        text(
            "SELECT width_bucket(r.started_at, CAST(:edges AS timestamptz[])) AS gap, r.dataset, count(*) AS many,"
            " min(r.started_at) AS first_at, max(r.started_at) AS last_at FROM rookery.runs r"
            " WHERE r.outcome = 'unchanged' AND (:dataset = '' OR r.dataset = :dataset)"
            " AND (CAST(:oldest AS timestamptz) IS NULL OR r.started_at >= :oldest) GROUP BY 1, 2 ORDER BY last_at DESC"
        ),
        {"edges": edges, "dataset": dataset, "oldest": edges[0] if edges else None},
    )
    return [Tick(dataset=row.dataset, count=row.many, first_at=row.first_at, last_at=row.last_at) for row in rows]


async def rate(connection: AsyncConnection, *, minutes: int = 60) -> list[int]:
    """Events a minute, the oldest minute first, the current one last."""
    rows = await connection.execute(
        text(
            "SELECT CAST(floor(extract(epoch FROM clock_timestamp() - time) / 60) AS integer) AS ago, count(*) AS many"
            " FROM rookery.events WHERE time > clock_timestamp() - make_interval(mins => :minutes) GROUP BY 1"
        ),
        {"minutes": minutes},
    )
    counts = {row.ago: row.many for row in rows}
    return [counts.get(ago, 0) for ago in range(minutes - 1, -1, -1)]


async def loadings(
    redis: Redis, *, of: dict[tuple[str, int], UUID] | None = None, most: int = _LOOKED_AT
) -> list[EventLine]:
    """What inference told the stream lately, the newest first; nothing where Redis is away.

    With `of`, only what is about these versions, as events of the runs that made them.
    """
    try:
        async with asyncio.timeout(_REDIS_S):
            entries = await newest(redis, most)
    except (RedisError, OSError):
        return []
    lines = [line for _, fields in entries if (line := of_stream(fields)) and line.type in _LOADING]
    if of is None:
        return lines
    return [
        msgspec.structs.replace(line, run=of[key])
        for line in lines
        if (key := (str(line.data.get("model")), int(line.data.get("version", 0)))) in of
    ]


_LOADING = frozenset({"model.loaded", "model.rejected"})


def of_stream(fields: dict[str, str]) -> EventLine | None:
    """The event that the flat fields of a stream entry hold; None where they are none."""
    try:
        data = msgspec.json.decode(fields.get("data", "{}"), type=dict[str, Any])
        return msgspec.convert(
            {
                "dataset": None,
                "cause": None,
                **{name: fields[name] for name in fields if name in EventLine.__struct_fields__},
                "data": data,
                "state": "done",
                "seconds": float(data["milliseconds"]) / 1000 if data.get("milliseconds") else None,
            },
            EventLine,
            strict=False,
        )
    except (msgspec.MsgspecError, ValueError, TypeError):
        return None
