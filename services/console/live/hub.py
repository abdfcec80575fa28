"""What open pages hear: events from Redis's stream, work under way, serving figures, health.

One hub for all pages. It works only while somebody listens. Where Redis is away it tails PostgreSQL every two seconds
and sends the same messages.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from common.logs import get_logger
from common.tasks import end_tasks
from services.console.live.pulse import Pulse
from services.console.live.serving import Serving
from services.console.live.work import Work, read_work
from services.console.reading import entries as entries_of
from services.console.reading.events import COLUMNS, of_stream, to_line

log = get_logger(__name__)

_QUEUED_MESSAGES = 1000
_REPLAYED = 1000
_TAIL_S = 2.0
_WORK_S = 1.0
_HEALTH_S = 5.0
_BLOCK_MS = 5000
_REMEMBERED = 2000


class Message(msgspec.Struct, frozen=True):
    """One message of the stream; `id` where it can be resumed after."""

    event: str
    data: Any
    id: str = ""

    def encoded(self) -> bytes:
        """As server-sent events are written (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
        head = f"id: {self.id}\n" if self.id else ""
        return f"{head}event: {self.event}\ndata: ".encode() + msgspec.json.encode(self.data) + b"\n\n"


class Listener:
    """One open page's messages. Too many: they are dropped, and the page is told to read anew."""

    def __init__(self) -> None:
        """Begins with none."""
        self._messages: deque[Message] = deque()
        self._some = asyncio.Event()
        self.closed = False

    def put(self, message: Message) -> None:
        """Adds a message."""
        if len(self._messages) >= _QUEUED_MESSAGES:
            self._messages.clear()
            message = Message("reset", {"why": "this page could not follow"})
        self._messages.append(message)
        self._some.set()

    def close(self) -> None:
        """Ends the page's stream."""
        self.closed = True
        self._some.set()

    async def take(self, timeout_s: float) -> list[Message]:
        """The messages there are, at the latest after the timeout; none then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._some.wait()
        self._some.clear()
        taken = list(self._messages)
        self._messages.clear()
        return taken


class Hub:
    """Reads each source once, for however many pages."""

    def __init__(self, engine: AsyncEngine, redis: Redis, serving: Serving, pulse: Pulse) -> None:
        """Takes the sources."""
        self._engine = engine
        self._redis = redis
        self._serving = serving
        self._pulse = pulse
        self._listeners: set[Listener] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._last_id = "$"
        self._seen: deque[UUID] = deque(maxlen=_REMEMBERED)
        self._stirred = asyncio.Event()
        self._latest: dict[str, Message] = {}

    @asynccontextmanager
    async def listen(self, last_event_id: str = "") -> AsyncIterator[Listener]:
        """A page's messages from now on, or from after the last one it heard."""
        listener = Listener()
        self._listeners.add(listener)
        if not self._tasks:
            self._start()
        for message in self._latest.values():
            listener.put(message)
        if last_event_id:
            await self._replay(listener, last_event_id)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self._stop()

    async def close(self) -> None:
        """Ends all pages' streams."""
        for listener in self._listeners:
            listener.close()
        await self._stop()

    def _start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._follow(), name="follow the stream"),
            asyncio.create_task(self._watch_work(), name="watch the work"),
            asyncio.create_task(self._watch_serving(), name="watch serving"),
            asyncio.create_task(self._watch_health(), name="watch health"),
        ]

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        # Before the first await: a page that opens meanwhile starts anew, and keeps what it then finds.
        self._latest.clear()
        self._last_id = "$"
        await end_tasks(tasks)

    def _send(self, message: Message, *, keep: bool = False) -> None:
        if keep:
            self._latest[message.event] = message
        for listener in self._listeners:
            listener.put(message)

    async def _replay(self, listener: Listener, last_event_id: str) -> None:
        """What came since the page last heard something; where that is not known any more: it reads anew."""
        entries: list[entries_of.Entry] = []
        known = False
        heard = _order(last_event_id)
        if heard is not None:
            with suppress(RedisError, OSError):
                first = _order(await entries_of.oldest_id(self._redis) or "")
                known = first is not None and first <= heard
                entries = await entries_of.since(self._redis, last_event_id, _REPLAYED + 1)
        if not known or len(entries) > _REPLAYED:
            listener.put(Message("reset", {"why": "what came since is not known any more"}))
            return
        for entry_id, fields in entries:
            self._put_event(listener, entry_id, fields)

    @staticmethod
    def _put_event(listener: Listener, entry_id: str, fields: dict[str, str]) -> None:
        line = of_stream(fields)
        if line is not None:
            listener.put(Message("event", line, entry_id))

    async def _follow(self) -> None:
        """Follows Redis's stream; where Redis is away, PostgreSQL, until it is back."""
        source = ""
        while True:
            try:
                if self._last_id == "$":
                    newest = await entries_of.newest(self._redis, 1)
                    self._last_id = newest[0][0] if newest else "0-0"
                if source != "redis":
                    source = self._told("redis", source)
                entries = await entries_of.wait_after(self._redis, self._last_id, count=200, block_ms=_BLOCK_MS)
            except (RedisError, OSError, TimeoutError):
                if source != "postgres":
                    source = self._told("postgres", source)
                await self._tail_once()
                await asyncio.sleep(_TAIL_S)
                continue
            for entry_id, fields in entries:
                self._last_id = entry_id
                self._heard(of_stream(fields), entry_id)

    def _told(self, source: str, before: str) -> str:
        """Says where events come from now; after a change pages read anew what they may have missed."""
        self._send(Message("source", {"source": source}), keep=True)
        if before:
            self._last_id = "$"
            self._send(Message("reset", {"why": f"events come from {source} now"}))
        return source

    def _heard(self, line: Any, entry_id: str = "") -> None:
        if line is None or line.id in self._seen:
            return
        self._seen.append(line.id)
        self._send(Message("event", line, entry_id))
        self._stirred.set()

    async def _tail_once(self) -> None:
        """Sends what was committed lately. By time with an overlap: rows become visible out of order."""
        with suppress(OSError, DBAPIError, TimeoutError):
            async with self._engine.connect() as connection:
                rows = await connection.execute(
                    text(
                        f"SELECT {COLUMNS} FROM rookery.events"
                        " WHERE time > clock_timestamp() - interval '10 s' ORDER BY time LIMIT 500"
                    )
                )
                lines = [to_line(dict(row)) for row in rows.mappings()]
            for line in lines:
                self._heard(line)

    async def _watch_work(self) -> None:
        """Sends the open events when they change, and how those ended that are open no more; once a second at most."""
        before: Work | None = None
        while True:
            looked_at = time.monotonic()
            try:
                async with self._engine.connect() as connection:
                    work = await read_work(connection, self._redis)
                    settled = await self._settled(connection, before, work)
            except (OSError, DBAPIError, TimeoutError):
                before = None
            else:
                for line in settled:
                    self._send(Message("settled", line))
                if work != before:
                    self._send(Message("queues", work), keep=True)
                before = work
            if not self._busy(before):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_TAIL_S):
                        await self._stirred.wait()
            await asyncio.sleep(max(0.05, _WORK_S - (time.monotonic() - looked_at)))
            self._stirred.clear()

    @staticmethod
    def _busy(work: Work | None) -> bool:
        return work is not None and any(event.state in {"running", "queued"} for event in work.open)

    async def _settled(self, connection: Any, before: Work | None, work: Work) -> list[Any]:
        gone = {event.id for event in before.open} - {event.id for event in work.open} if before else set()
        if not gone:
            return []
        rows = await connection.execute(
            text(f"SELECT {COLUMNS} FROM rookery.events WHERE id = ANY(:ids)"), {"ids": list(gone)}
        )
        return [to_line(dict(row)) for row in rows.mappings()]

    async def _watch_serving(self) -> None:
        while True:
            self._send(Message("serving", self._serving.now()), keep=True)
            await self._serving.wait()

    async def _watch_health(self) -> None:
        """Sends health when a state changes, and its figures now and then."""
        before: list[tuple[str, str]] = []
        sent_at = 0.0
        while True:
            parts = await self._pulse.look()
            states = [(part.name, part.state) for part in parts]
            if states != before or time.monotonic() - sent_at > 4 * _HEALTH_S:
                self._send(Message("health", parts), keep=True)
                before, sent_at = states, time.monotonic()
            await asyncio.sleep(_HEALTH_S if all(part.state != "down" for part in parts) else _TAIL_S)


def _order(entry_id: str) -> tuple[int, int] | None:
    """A stream id as numbers that can be compared; None for what is none."""
    first, _, second = entry_id.partition("-")
    return (int(first), int(second)) if first.isdigit() and second.isdigit() else None
