"""What the console works with: opened once by its composition root, handed to every handler."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientSession, ClientTimeout, web
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from common.database.engine import database_engine
from common.events import store
from common.events.broker import make_app
from common.events.model import Event
from common.events.publisher import Publisher, PublishError
from common.logs import get_logger
from common.settings import Settings
from services.console.live.hub import Hub
from services.console.live.pulse import Pulse
from services.console.live.serving import Serving
from services.console.reading.columns import ColumnCache

log = get_logger(__name__)


class Outbox:
    """Hands committed events to Redis. Where Redis is away the commit stands, and the sweep publishes later."""

    def __init__(self, engine: AsyncEngine, publisher: Publisher) -> None:
        """Takes what the events were committed with, and what publishes them."""
        self._engine = engine
        self._publisher = publisher

    async def publish(self, events: Sequence[Event]) -> bool:
        """Tells whether Redis took the events; call it after the commit."""
        if not events:
            return True
        try:
            await asyncio.to_thread(self._publisher.publish, events)
        except PublishError as error:
            log.warning("published later, by the sweep", error=error.message, events=len(events))
            return False
        async with self._engine.begin() as connection:
            await store.mark_published(connection, [event.id for event in events])
        return True


@dataclass(frozen=True)
class Parts:
    """The parts of a console process."""

    settings: Settings
    engine: AsyncEngine
    redis: Redis
    inference: ClientSession
    outbox: Outbox
    serving: Serving
    pulse: Pulse
    hub: Hub
    columns: ColumnCache


PARTS: web.AppKey[Parts] = web.AppKey("parts", Parts)
_REDIS_TIMEOUT_S = 2.0
_INFERENCE_TIMEOUT_S = 10.0


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Opens the parts; closes what listens first, then what it listens to."""
    redis = Redis.from_url(
        settings.redis, socket_connect_timeout=_REDIS_TIMEOUT_S, socket_timeout=15.0, decode_responses=True
    )
    publisher = Publisher(make_app(settings, "console"))
    timeout = ClientTimeout(total=_INFERENCE_TIMEOUT_S, connect=2.0)
    keys = [key.strip() for key in settings.inference_api_keys.split(",") if key.strip()]
    headers = {"X-API-Key": keys[0]} if keys else {}
    async with (
        database_engine(settings, "rookery-console") as engine,
        ClientSession(base_url=settings.inference_url, timeout=timeout, headers=headers) as inference,
    ):
        serving = Serving(inference, time.time)
        pulse = Pulse(settings, engine, redis, serving)
        hub = Hub(engine, redis, serving, pulse)
        serving.start()
        try:
            yield Parts(
                settings=settings,
                engine=engine,
                redis=redis,
                inference=inference,
                outbox=Outbox(engine, publisher),
                serving=serving,
                pulse=pulse,
                hub=hub,
                columns=ColumnCache(),
            )
        finally:
            await hub.close()
            await serving.close()
            publisher.close()
            await redis.aclose()
