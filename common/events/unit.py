"""The unit of work: what a handler writes, what it emits and that it is done, in one fenced transaction."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.errors import LeaseLostError
from common.events import store
from common.events.leases import Claim, fence
from common.events.model import Event
from common.settings import Settings

AfterCommit = Callable[[], Awaitable[None]]


class UnitOfWork:
    """One attempt at one event. The transaction begins at the first call of `connection`.

    What takes long comes before that: while the transaction is open the event's row is locked. `engine` is for reads,
    and for writes that a repetition does no harm to (a snapshot's own table, loaded before it is announced).
    """

    def __init__(self, engine: AsyncEngine, settings: Settings, claim: Claim, *, source: str) -> None:
        self.engine = engine
        self.settings = settings
        self.claim = claim
        self.callbacks: list[AfterCommit] = []
        self._source = source
        self._pace_s: dict[UUID, float] = {}
        self._news: list[Event] = []
        self._connection: AsyncConnection | None = None
        self._stack = AsyncExitStack()

    @property
    def event_id(self) -> UUID:
        """The event that is being handled."""
        return self.claim.event.id

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self.claim.attempt

    @property
    def urgent(self) -> bool:
        """Whether a person asked for this run."""
        return self.claim.urgent

    async def connection(self) -> AsyncConnection:
        """The connection of the fenced transaction; begins it at the first call.

        Raises LeaseLostError where the event has gone to another attempt.
        """
        if self._connection is None:
            self._connection = await self._stack.enter_async_context(self.engine.begin())
            if not await fence(self._connection, self.claim):
                raise LeaseLostError
        return self._connection

    def pace(self, event: Event, min_interval_s: float) -> None:
        """Lets an outgoing event be due no earlier than this after the last start of one of its type and data set.

        A run that a person asked for is not paced.
        """
        if not self.urgent:
            self._pace_s[event.id] = min_interval_s

    async def supersede(self, dataset: str, snapshot: int) -> None:
        """Ends other runs' waiting events about this snapshot of the data set or older ones."""
        self._news += await store.supersede(
            await self.connection(), dataset=dataset, snapshot=snapshot, by=self.claim.event.correlationid
        )

    def after_commit(self, callback: AfterCommit) -> None:
        """Has something done after the commit, best effort: the sweep repeats what it must."""
        self.callbacks.append(callback)

    async def finish(self, outgoing: Sequence[Event]) -> list[Event]:
        """Commits: state, outgoing events, handled, and the end of the run if this was its last open event.

        Returns what is to be published now. Raises LeaseLostError where the event has gone to another attempt.
        """
        connection = await self.connection()
        stamped = [_from(event, self._source) for event in outgoing]
        due = await store.insert_events(connection, stamped, pace_s=self._pace_s)
        await store.handled(connection, self.event_id)
        due += self._news
        due += await store.end_run(connection, self.claim.event.correlationid, cause=self.event_id)
        await self._stack.aclose()
        return due

    async def __aenter__(self) -> Self:
        """Nothing is begun yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Rolls back what `finish` has not committed."""
        unfinished = error or LeaseLostError("the unit of work was left without being finished")
        await self._stack.__aexit__(type(unfinished), unfinished, trace)


def _from(event: Event, source: str) -> Event:
    """The event with its source, where it says none."""
    return event if event.source else msgspec.structs.replace(event, source=source)
