"""What is under way: the open events of each stage, and how many wait in Redis."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from common.database.reading import read_all
from common.events.topology import PARKED, SERVICES, queue_name

_MOST_OPEN = 300
# A page does not wait longer than this for a Redis that takes connections but does not answer.
_REDIS_S = 0.7


class OpenEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is neither handled nor given up. State: queued, running, waiting (for its time), retrying."""

    id: UUID
    type: str
    subject: str
    dataset: str | None
    run: UUID
    stage: str
    family: str
    state: str
    since: datetime
    due_at: datetime | None
    attempts: int
    worker: str | None
    published: bool


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The open events, the length of each queue in Redis (None: it does not answer), what was parked, the dead."""

    open: list[OpenEvent]
    queues: dict[str, int] | None
    parked: int
    dead: dict[str, int]
    kept: int


async def read_open(connection: AsyncConnection) -> tuple[list[OpenEvent], dict[str, int]]:
    """The open events, the oldest first, and the number of dead letters per stage."""
    found = await read_all(
        connection,
        OpenEvent,
        "SELECT id, type, subject, dataset, correlationid AS run, replace(queue, 'rookery.', '') AS stage,"
        " coalesce(data->>'family', '') AS family,"
        " CASE WHEN claimed_until > clock_timestamp() THEN 'running'"
        "  WHEN due_at > clock_timestamp() THEN CASE WHEN attempts > 0 THEN 'retrying' ELSE 'waiting' END"
        "  ELSE 'queued' END AS state,"
        " coalesce(CASE WHEN claimed_until > clock_timestamp() THEN started_at END, time) AS since,"
        " nullif(due_at, 'infinity') AS due_at, attempts, owner AS worker, published_at IS NOT NULL AS published"
        " FROM rookery.events WHERE handled_at IS NULL AND dead_at IS NULL AND queue IS NOT NULL"
        f" ORDER BY due_at LIMIT {_MOST_OPEN}",
    )
    dead = await connection.execute(
        text(
            "SELECT replace(queue, 'rookery.', '') AS stage, count(*) AS many FROM rookery.events"
            " WHERE dead_at IS NOT NULL GROUP BY queue"
        )
    )
    return found, {row.stage: row.many for row in dead}


async def read_work(connection: AsyncConnection, redis: Redis) -> Work:
    """What is under way, from both."""
    found, dead = await read_open(connection)
    queues, parked = await read_queues(redis)
    kept = sum(event.state == "queued" for event in found)
    return Work(open=found, queues=queues, parked=parked, dead=dead, kept=kept)


async def read_queues(redis: Redis) -> tuple[dict[str, int] | None, int]:
    """How many messages wait in Redis per service, and how many are parked; None where Redis does not answer."""
    try:
        async with asyncio.timeout(_REDIS_S), redis.pipeline(transaction=False) as pipeline:
            for service in SERVICES:
                pipeline.llen(queue_name(service))
            pipeline.llen(PARKED)
            lengths: list[Any] = await pipeline.execute()
    except (RedisError, OSError):
        return None, 0
    return dict(zip(SERVICES, lengths, strict=False)), lengths[-1]
