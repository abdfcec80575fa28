"""Entries of the readable stream, as texts: redis-py's own types leave open what a client that decodes gives."""

from typing import Any

from redis.asyncio import Redis

from common.events.topology import STREAM

Entry = tuple[str, dict[str, str]]


async def newest(redis: Redis, count: int) -> list[Entry]:
    """The last entries, the newest first."""
    found: Any = await redis.xrevrange(STREAM, count=count)
    return list(found)


async def oldest_id(redis: Redis) -> str | None:
    """The id of the first entry that the stream still has."""
    found: Any = await redis.xrange(STREAM, count=1)
    return str(found[0][0]) if found else None


async def since(redis: Redis, entry_id: str, count: int) -> list[Entry]:
    """Entries after one, the oldest first."""
    found: Any = await redis.xrange(STREAM, min=f"({entry_id}", count=count)
    return list(found)


async def wait_after(redis: Redis, entry_id: str, *, count: int, block_ms: int) -> list[Entry]:
    """Entries after one, as soon as there are any; none after the time."""
    answer: Any = await redis.xread({STREAM: entry_id}, count=count, block=block_ms)
    return [entry for _, entries in answer or () for entry in entries]
