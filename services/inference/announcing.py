"""Who is told of loads: the log, the metrics and, best effort, the stream of events. Nothing here delays a load."""

import asyncio
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.events.model import Event, ModelLoaded, ModelRejected
from common.events.stream import flat
from common.events.topology import STREAM, STREAM_LENGTH
from common.logs import get_logger
from services.inference.metrics import Metrics
from services.inference.serving.serving_map import Served

_MOST_WAITING = 256
_TIMEOUT_S = 2.0


class Stream(Protocol):
    """Takes events that may get lost."""

    def offer(self, event: Event) -> None:
        """Never waits and never raises."""
        ...


class NoStream:
    """The stream where no Redis is set."""

    def offer(self, event: Event) -> None:
        """Does nothing."""


class RedisStream:
    """Adds events to the Redis stream that people watch; what cannot be added at once is lost."""

    def __init__(self, url: str) -> None:
        """Takes Redis's URL; nothing is connected yet."""
        self._client: Redis = Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry_on_timeout=False
        )
        self._queue: asyncio.Queue[Event] = asyncio.Queue(_MOST_WAITING)

    def offer(self, event: Event) -> None:
        """Keeps the event for `run`, unless too many wait."""
        if not self._queue.full():
            self._queue.put_nowait(event)

    async def run(self) -> None:
        """Sends what is offered; ends when cancelled."""
        try:
            while True:
                event = await self._queue.get()
                try:
                    fields: dict[Any, Any] = dict(flat(event))
                    await self._client.xadd(STREAM, fields, maxlen=STREAM_LENGTH, approximate=True)
                except (RedisError, OSError) as error:
                    get_logger(__name__).debug("an event did not reach the stream", type=event.type, error=str(error))
        finally:
            await self._client.aclose()


class Announcer:
    """Tells everyone of loads."""

    def __init__(self, metrics: Metrics, stream: Stream, source: str) -> None:
        """Takes what counts, the stream, and this process's name in events."""
        self._metrics = metrics
        self._stream = stream
        self._source = source

    def loaded(self, served: Served) -> None:
        """A version is ready."""
        get_logger(__name__).info(
            "model loaded",
            model=served.model,
            version=served.version,
            milliseconds=served.load_ms,
            predictor=served.manifest.predictor.kind,
            event_id=served.manifest.event_id,
            run_id=served.manifest.run_id,
        )
        self._metrics.load(served.model, "loaded")
        self._stream.offer(
            ModelLoaded.first(
                subject=served.model,
                source=self._source,
                model=served.model,
                version=served.version,
                milliseconds=served.load_ms,
            )
        )

    def rejected(self, model: str, version: int, reason: str, milliseconds: float) -> None:
        """A version was refused."""
        get_logger(__name__).error("model rejected", model=model, version=version, reason=reason)
        self._metrics.load(model, "rejected")
        self._stream.offer(
            ModelRejected.first(
                subject=model,
                source=self._source,
                model=model,
                version=version,
                reason=reason,
                milliseconds=milliseconds,
            )
        )
