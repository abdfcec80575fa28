"""A service's worker: the Celery app that hands delivered events to its handlers.

One loop, one engine and one publisher per child process, made after the fork and closed in reverse order.
"""

import asyncio
import gc
import os
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

from celery import Celery, signals
from celery.worker import state
from sqlalchemy.exc import DBAPIError

from common.database.engine import claims_engine, database_engine
from common.events import leases
from common.events.broker import make_app
from common.events.handling import Handlers, Processor, Stage
from common.events.owner import this_process
from common.events.publisher import Publisher
from common.events.pulse import make_heartbeat
from common.events.renewal import LOOK_EVERY_S, SETTLING_S, Renewal, resident
from common.events.topology import SUBSCRIPTIONS
from common.logs import configure_logs, get_logger
from common.settings import Settings

log = get_logger(__name__)


class Child:
    """What one child process of a worker holds: its loop, and on it the processor."""

    def __init__(self, app: Celery, service: str, handlers: Handlers, settings: Settings, at: Stage) -> None:
        self._app, self._service, self._handlers, self._settings, self._at = app, service, handlers, settings, at
        self._runner: asyncio.Runner | None = None
        self._stack = AsyncExitStack()
        self._processor: Processor | None = None

    def open(self) -> None:
        """Opens the loop and what runs on it; called in the child, after the fork."""
        self._runner = asyncio.Runner()
        self._runner.run(self._open())

    def process(self, event_id: UUID) -> str:
        """Handles one event; blocks until done."""
        if self._runner is None:
            self.open()
        return self._runner.run(self._process(event_id))  # type: ignore[union-attr] # open() made it

    def close(self) -> None:
        """Closes the connections first, then the loop they belong to."""
        if self._runner is not None:
            self._runner.run(self._stack.aclose())
            self._runner.close()
            self._runner = None

    async def _open(self) -> None:
        application = f"rookery-{self._service}-{os.getpid()}"
        engine = await self._stack.enter_async_context(database_engine(self._settings, application))
        claims = await self._stack.enter_async_context(claims_engine(self._settings, application))
        publisher = Publisher(self._app)
        self._stack.callback(publisher.close)
        self._processor = Processor(
            self._service,
            self._handlers,
            self._settings,
            engine=engine,
            claims=claims,
            publisher=publisher,
            owner=this_process(),
            at=self._at,
        )

    async def _process(self, event_id: UUID) -> str:
        processor = self._processor
        if processor is None:
            raise RuntimeError("the child was not opened")
        try:
            return await processor.process(event_id)
        except (OSError, DBAPIError) as error:
            # PostgreSQL is away: the message is let go, the row is still due, and the sweep sends it again.
            log.warning("event not claimed", event_id=str(event_id), error=str(error).splitlines()[0])
            await asyncio.sleep(0.5)
            return "not claimed"


def make_worker(
    service: str,
    handlers: Handlers,
    settings: Settings,
    *,
    time_limit_s: int,
    at: Stage = lambda _stage: None,
) -> Celery:
    """The Celery app of a service's worker: one task per event type that it handles.

    `time_limit_s` kills the child that works longer on one event; its lease ends with it. `at` is told each stage that
    a child reaches in handling an event.
    """
    app = make_app(settings, service, consumes=service)
    app.conf.update(task_time_limit=time_limit_s)
    child = Child(app, service, handlers, settings, at)
    for kind in handlers:
        if SUBSCRIPTIONS.get(kind.type) != service:
            raise RuntimeError(f"{service} handles {kind.type}, which goes to {SUBSCRIPTIONS.get(kind.type)}")
        app.task(_task(child), name=kind.type, bind=True)
    _connect_signals(child, service, settings)
    return app


def _task(child: Child) -> Any:
    """The body of every event's task."""

    def handle(task: Any, event: dict[str, Any]) -> str:
        """Handles the event that the message names; what it says besides is for readers."""
        del event
        return child.process(UUID(task.request.id))

    return handle


def _connect_signals(child: Child, service: str, settings: Settings) -> None:
    """Celery's moments: logs, the child's life, and the worker's end."""

    def on_logging(**_: Any) -> None:
        configure_logs(settings, service)

    def on_child(**_: Any) -> None:
        child.open()

    def on_child_end(**_: Any) -> None:
        child.close()

    def on_end(**_: Any) -> None:
        # The children are gone by now: what they held is handed back, and the attempt does not count.
        try:
            asyncio.run(_hand_back(settings))
        except (OSError, DBAPIError) as error:
            log.warning("leases not handed back", error=str(error).splitlines()[0])

    def on_ready(sender: Any, **_: Any) -> None:
        renew_children(sender)
        settings.tell_ready()

    def on_start(**_: Any) -> None:
        # What was imported by now is left alone by the collector, in the children too: it would write to each object,
        # and memory that is written to is no longer shared.
        gc.collect()
        gc.freeze()

    signals.setup_logging.connect(on_logging, weak=False)
    signals.worker_init.connect(on_start, weak=False)
    signals.worker_ready.connect(on_ready, weak=False)
    if settings.ready_file:
        signals.heartbeat_sent.connect(make_heartbeat(service, settings), weak=False)
    signals.worker_process_init.connect(on_child, weak=False)
    signals.worker_process_shutdown.connect(on_child_end, weak=False)
    signals.worker_shutdown.connect(on_end, weak=False)


def renew_children(worker: Any) -> None:
    """Has a worker's children looked at from time to time, and replaced where they have grown."""
    renewal = Renewal(worker.pool, resident())

    def look() -> None:
        sizes = [resident(pid) for pid in worker.pool.info["processes"]]
        if renewal.look(reserved=len(state.reserved_requests), accepted=state.all_total_count[0], sizes=sizes):
            for after_s in SETTLING_S:
                worker.timer.call_after(after_s, worker.pool.maintain_pool)

    worker.timer.call_repeatedly(LOOK_EVERY_S, look)


async def _hand_back(settings: Settings) -> None:
    """Ends the leases of this host's dead processes without counting their attempts."""
    async with claims_engine(settings, "rookery-shutdown") as engine, engine.connect() as connection:
        await leases.free_dead(connection, host=this_process().host, refund=True)
