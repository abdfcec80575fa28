"""A processor per service on real PostgreSQL and Redis, driven by hand."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import msgspec
import pytest
import redis.asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from common.database.engine import claims_engine, database_engine
from common.events import store
from common.events.broker import make_app
from common.events.handling import Handlers, Processor, Stage
from common.events.model import EVENT_TYPES, Event, IngestRequested
from common.events.owner import Owner, this_process
from common.events.publisher import Publisher
from common.events.sweep import Swept, sweep_once
from common.events.topology import STREAM, SUBSCRIPTIONS, queue_name
from common.settings import Settings
from tests.integration.events.chain import HANDLERS


class Bench:
    """What a test needs to drive events by hand."""

    def __init__(self, settings: Settings, engine: AsyncEngine, claims: AsyncEngine) -> None:
        self.settings, self.engine, self.claims = settings, engine, claims
        self.publisher = Publisher(make_app(settings, "bench"))
        self.redis: redis.asyncio.Redis = redis.asyncio.Redis.from_url(settings.redis, decode_responses=True)

    def processor(
        self, service: str, handlers: Handlers | None = None, *, owner: Owner | None = None, at: Stage | None = None
    ) -> Processor:
        """A processor of a service, by default with the handlers that do nothing but pass on."""
        return Processor(
            service,
            handlers or HANDLERS[service],
            self.settings,
            engine=self.engine,
            claims=self.claims,
            publisher=self.publisher,
            owner=owner or this_process(),
            at=at or (lambda _stage: None),
        )

    async def ask(self, dataset: str = "d", *, urgent: bool = False) -> IngestRequested:
        """Commits and publishes a request for an ingest."""
        event = IngestRequested.first(subject=dataset, source="test", dataset=dataset)
        async with self.engine.begin() as connection:
            await store.start_run(connection, event, dataset=dataset, requested_by="test", urgent=urgent)
        self.publisher.publish([event])
        async with self.engine.begin() as connection:
            await store.mark_published(connection, [event.id])
        return event

    async def queued(self, service: str) -> list[UUID]:
        """The ids in a queue, the next one first."""
        entries = await self.redis.lrange(queue_name(service), 0, -1)
        return [UUID(msgspec.json.decode(entry)["headers"]["id"]) for entry in reversed(entries)]

    async def take(self, service: str) -> UUID | None:
        """Takes the next message out of a queue, as a worker does."""
        entry: Any = await self.redis.rpop(queue_name(service))
        return UUID(msgspec.json.decode(entry)["headers"]["id"]) if entry else None

    async def drain(self) -> list[str]:
        """Handles whatever is queued, service by service, until nothing is; returns what became of each."""
        ends: list[str] = []
        while True:
            before = len(ends)
            for service in HANDLERS:
                while (event_id := await self.take(service)) is not None:
                    ends.append(await self.processor(service).process(event_id))
            if len(ends) == before:
                return ends

    async def sweep(self) -> Swept:
        """One sweep, after which nothing counts as just committed or just published."""
        await self.age(10)
        return await sweep_once(self.engine, self.publisher, self.settings, host=this_process().host)

    async def age(self, seconds: float) -> None:
        """Lets all events be older by so much."""
        await self.write(
            "UPDATE rookery.events SET time = time - make_interval(secs => :s), published_at = published_at"
            " - make_interval(secs => :s), claimed_until = claimed_until, due_at = due_at", s=seconds,
        )  # fmt: skip

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        """The rows of a query."""
        async with self.engine.connect() as connection:
            return list((await connection.execute(text(statement), values)).all())

    async def write(self, statement: str, **values: Any) -> None:
        """Runs a statement in a transaction."""
        async with self.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def run_state(self, run: UUID) -> tuple[str, str | None]:
        """State and outcome of a run."""
        (row,) = await self.rows("SELECT state, outcome FROM rookery.runs WHERE id = :id", id=run)
        return row.state, row.outcome

    async def streamed(self) -> list[str]:
        """The types of the stream's entries, the oldest first."""
        entries: Any = await self.redis.xrange(STREAM)
        return [fields["type"] for _, fields in entries]

    def subscribed(self) -> set[type[Event]]:
        """The event types that some service handles."""
        return {EVENT_TYPES[name] for name in SUBSCRIPTIONS}


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    """The bench of a test, with short retries."""
    quick = msgspec.structs.replace(settings, retry_base_s=0.001, retry_cap_s=0.001, max_attempts=3)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(database_engine(quick, "bench"))
        claims = await stack.enter_async_context(claims_engine(quick, "bench"))
        made = Bench(quick, engine, claims)
        stack.push_async_callback(made.redis.aclose)
        stack.callback(made.publisher.close)
        yield made
