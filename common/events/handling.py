"""What the runtime does with one delivered event: claim, handle, commit, publish. Knows nothing of Celery."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from common.errors import LeaseLostError, RetryableError, RookeryError, is_retryable
from common.events import leases, store
from common.events.leases import Claim, Refusal
from common.events.model import Event
from common.events.owner import Owner
from common.events.publisher import Publisher
from common.events.retry import retry_delay_s
from common.events.unit import UnitOfWork
from common.logs import get_logger
from common.settings import Settings

# Takes the event type's own class: a table of handlers has no narrower type.
Handler = Callable[[Any, UnitOfWork], Awaitable[Sequence[Event]]]
Handlers = Mapping[type[Any], Handler]
Stage = Callable[[str], None]

log = get_logger(__name__)


class Processor:
    """Handles events of one service in one process.

    `claims` is an engine in autocommit whose commits do not wait for the disk; losing a claim in a crash does no harm.
    `at` is told each stage that was reached: a test ends the process there.
    """

    def __init__(
        self,
        service: str,
        handlers: Handlers,
        settings: Settings,
        *,
        engine: AsyncEngine,
        claims: AsyncEngine,
        publisher: Publisher,
        owner: Owner,
        at: Stage = lambda _stage: None,
    ) -> None:
        self._service = service
        self._handlers = handlers
        self._settings = settings
        self._engine = engine
        self._claims = claims
        self._publisher = publisher
        self._owner = owner
        self._at = at

    async def process(self, event_id: UUID) -> str:
        """Handles the event if it is ours to handle; returns what became of it, in words for the log.

        Raises nothing that the event or its handler caused: that is written to its row.
        """
        with structlog.contextvars.bound_contextvars(event_id=str(event_id)):
            claim = await self._claim(event_id)
            if isinstance(claim, Refusal):
                log.info("event dropped", reason=claim.value)
                return f"dropped: {claim.value}"
            with structlog.contextvars.bound_contextvars(
                run_id=str(claim.event.correlationid), type=claim.event.type, dataset=claim.event.dataset
            ):
                return await self._attempt(claim)

    async def _claim(self, event_id: UUID) -> Claim | Refusal:
        """Claims the event; a lease of a dead process of this host is ended first."""
        refusal = await self._try_claim(event_id)
        if refusal is Refusal.LEASED:
            async with self._claims.connect() as connection:
                if await leases.free_dead(connection, host=self._owner.host):
                    refusal = await self._try_claim(event_id)
        if refusal is Refusal.EXHAUSTED:
            async with self._engine.begin() as connection:
                news = await leases.bury_exhausted(connection, max_attempts=self._settings.max_attempts)
            await self._publish(news)
        return refusal

    async def _try_claim(self, event_id: UUID) -> Claim | Refusal:
        async with self._claims.connect() as connection:
            return await leases.claim(
                connection,
                event_id,
                owner=self._owner,
                lease_s=self._settings.lease_s,
                max_attempts=self._settings.max_attempts,
            )

    async def _attempt(self, claim: Claim) -> str:
        """One attempt: the handler under a renewed lease, then the fenced commit, then the publishing."""
        self._at("claimed")
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            due, callbacks = await self._handle(claim)
        except LeaseLostError:
            log.warning("lease lost, nothing was kept", attempt=claim.attempt)
            return "lease lost"
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is the event's fate, not the worker's
            return await self._fail(claim, error)
        self._at("committed")
        await self._publish(due)
        self._at("published")
        log.info("event handled", seconds=round(loop.time() - began, 4), attempt=claim.attempt, emitted=len(due))
        for callback in callbacks:
            try:
                await callback()
            except Exception as error:  # noqa: BLE001 - best effort: the sweep repeats it
                log.warning("after the commit", error=_sentence(error))
        self._at("finished")
        return "handled"

    async def _handle(self, claim: Claim) -> tuple[list[Event], Sequence[Callable[[], Awaitable[None]]]]:
        """The handler and the fenced commit; returns what to publish and what to do after."""
        handler = self._handlers[type(claim.event)]
        unit = UnitOfWork(self._engine, self._settings, claim, source=f"rookery/{self._service}")
        async with self._renewed(claim), unit:
            outgoing = await handler(claim.event, unit)
            self._at("handled")
            due = await unit.finish(outgoing)
        return due, unit.callbacks

    @asynccontextmanager
    async def _renewed(self, claim: Claim) -> Any:
        """Renews the lease while the body runs."""
        renewal = asyncio.create_task(self._renew(claim))
        try:
            yield
        finally:
            renewal.cancel()
            with suppress(asyncio.CancelledError):
                await renewal

    async def _renew(self, claim: Claim) -> None:
        """Renews a lease three times in its length; the fence decides whether it still holds, so errors may pass."""
        lease_s = self._settings.lease_s
        while True:
            await asyncio.sleep(lease_s / 3)
            try:
                async with self._claims.connect() as connection:
                    if not await leases.renew(connection, claim, lease_s=lease_s):
                        log.warning("lease has gone to another attempt")
                        return
            except (OSError, DBAPIError) as error:
                log.warning("lease not renewed", error=_sentence(error))

    async def _fail(self, claim: Claim, error: Exception) -> str:
        """Writes a failed attempt to the event's row; tries until PostgreSQL takes it or the lease has run out."""
        retry_in_s = None
        if is_retryable(error) and claim.attempt < self._settings.max_attempts:
            retry_in_s = retry_delay_s(
                claim.attempt,
                base_s=self._settings.retry_base_s,
                cap_s=self._settings.retry_cap_s,
                random=random.random,
            )
        known = isinstance(error, RookeryError)
        log.log(
            30 if retry_in_s is not None else 40,
            "event failed",
            error=_sentence(error),
            attempt=claim.attempt,
            retry_in_s=retry_in_s,
            exc_info=None if known else error,
        )
        deadline = asyncio.get_running_loop().time() + self._settings.lease_s
        while True:
            try:
                async with self._engine.begin() as connection:
                    news = await leases.fail(connection, claim, error=_sentence(error), retry_in_s=retry_in_s)
                break
            except (OSError, DBAPIError) as lost:
                if asyncio.get_running_loop().time() > deadline:
                    log.warning("the failure was not recorded, the lease runs out", error=_sentence(lost))
                    return "failed"
                await asyncio.sleep(0.5)
        await self._publish(news)
        return "failed" if retry_in_s is None else "to be tried again"

    async def _publish(self, events: Sequence[Event]) -> None:
        """Publishes what was committed; the sweep does what fails here."""
        if not events:
            return
        try:
            await asyncio.to_thread(self._publisher.publish, events)
            async with self._claims.connect() as connection:
                await store.mark_published(connection, [event.id for event in events])
        except (RetryableError, OSError, DBAPIError) as error:
            log.warning("not published yet", error=_sentence(error), events=len(events))


def _sentence(error: BaseException) -> str:
    """An error as one line for people: its own words, and its kind where that is not ours."""
    if isinstance(error, RookeryError):
        return error.message
    original = getattr(error, "orig", None) or error
    return (
        f"{type(original).__name__}: {str(original).strip().splitlines()[0] if str(original).strip() else 'no message'}"
    )
