"""What ingest does: `ingest.requested` becomes a snapshot that is announced, or word that nothing changed or fits.

Whether there is something new is decided twice: by the files' fingerprint before they are read, and by the content's
digest after. Two ingests of one data set take turns: the second finds what the first has loaded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from asyncpg import PostgresError
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.database.tables import rejections
from common.datasets import DatasetSpec, find_spec, fingerprint, load_specs
from common.datasets.drafting import complete_spec
from common.datasets.files import Fingerprint
from common.datasets.spec import SeabornSource
from common.errors import DataError, RookeryError, SettingsError, SourceUnavailableError, SpecError
from common.events.handling import Handlers
from common.events.model import DatasetIngested, DatasetRejected, DatasetUnchanged, Event, IngestRequested
from common.events.unit import UnitOfWork
from common.logs import get_logger
from common.settings import Settings
from common.snapshots import Snapshot, expose, latest_snapshot
from common.snapshots.loading import close_snapshot_table
from common.snapshots.names import exposed
from common.snapshots.records import forget_reservation, reserve_snapshot, update_snapshot, want
from services.ingest.checks import RejectedError, as_json, check_profile
from services.ingest.decisions import (
    Known,
    Verdict,
    after_reading,
    before_reading,
    fingerprint_change,
    rows_before,
)
from services.ingest.knowledge import is_under_way, known_of, reading_lock
from services.ingest.loading import Loaded, load
from services.ingest.sources import open_batches
from services.ingest.stillness import still_fingerprint

# Says why the chain should go on though nothing changed (a live version that does not verify), or None.
Missing = Callable[[AsyncEngine, Settings, DatasetSpec, Snapshot], Awaitable[str | None]]
# How long a person's request waits for another ingest of the data set to end.
PATIENCE_S = 60.0

log = get_logger(__name__)


def preload(settings: Settings) -> None:
    """Imports what the specs need, once, in the worker's parent: seaborn takes seconds."""
    specs = load_specs(settings.datasets_dir).values()
    if any(isinstance(spec, DatasetSpec) and isinstance(spec.source, SeabornSource) for spec in specs):
        import seaborn as sns  # noqa: F401 - for the children, which inherit it


async def nothing_missing(_engine: AsyncEngine, _settings: Settings, _spec: DatasetSpec, _snapshot: Snapshot) -> None:
    """The answer of an installation that checks no versions."""


def handlers(missing: Missing = nothing_missing) -> Handlers:
    """What the service does; `missing` is asked before the chain stops for lack of change."""

    async def on_ingest_requested(event: IngestRequested, unit: UnitOfWork) -> Sequence[Event]:
        folder = unit.settings.datasets_dir
        spec = await asyncio.to_thread(find_spec, folder, event.data.dataset)
        return await _Ingest(event, unit, spec, missing).run()

    return {IngestRequested: on_ingest_requested}


HANDLERS = handlers()


class _Read(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at the source came to."""

    verdict: Verdict
    mark: Fingerprint | None = None
    number: int = 0
    loaded: Loaded | None = None


class _Ingest:
    """One `ingest.requested`, from the first look to the fenced transaction."""

    def __init__(self, event: IngestRequested, unit: UnitOfWork, spec: DatasetSpec, missing: Missing) -> None:
        self._event = event
        self._unit = unit
        self._spec = spec
        self._missing = missing
        self._asked = unit.urgent or event.data.force
        self._known = Known()
        self._mark: Fingerprint | None = None

    async def run(self) -> Sequence[Event]:
        try:
            read = await self._look()
        except (DataError, SpecError, SettingsError) as error:
            return await self._rejected(error)
        if read.verdict is Verdict.STILL_WRONG:
            return [self._answer(DatasetRejected, reason=self._known.reason)]
        if read.verdict is Verdict.UNCHANGED and await self._what_is_missing():
            read = msgspec.structs.replace(read, verdict=Verdict.AGAIN)
        connection = await self._unit.connection()
        if read.verdict is Verdict.LOADED and read.loaded is not None:
            return await self._loaded(connection, read, read.loaded)
        return await self._not_loaded(connection, read)

    async def _look(self) -> _Read:
        """Reads the source where it may hold something new. Raises DataError where that does not fit the spec."""
        verdict = await self._decide(await asyncio.to_thread(fingerprint, self._spec, self._unit.settings.data_dir))
        if verdict is not Verdict.READ:
            return _Read(verdict=verdict, mark=self._mark)
        patience_s = PATIENCE_S if self._asked else 0.0
        async with reading_lock(self._unit.engine, self._spec.name, patience_s=patience_s) as connection:
            if connection is None:
                return self._left_to_others("another ingest of the data set is under way")
            mark = await still_fingerprint(self._spec, self._unit.settings.data_dir)
            if mark is not None and mark.get("restless"):
                return self._left_to_others("the source is being written")
            await self._complete(mark)
            verdict = await self._decide(mark)  # what another ingest has loaded meanwhile is known now
            if verdict is not Verdict.READ:
                return _Read(verdict=verdict, mark=mark)
            return await self._read(connection)

    async def _complete(self, mark: Fingerprint | None) -> None:
        """Finds the features that the spec leaves open, in a source that is still."""
        if not self._spec.inferred:
            return
        self._mark = mark
        settings, path = self._unit.settings, self._unit.settings.datasets_dir / f"{self._spec.name}.toml"
        try:
            self._spec = await asyncio.to_thread(complete_spec, path, self._spec, settings.data_dir)
        except SpecError:
            self._mark = None  # not for what the source holds: looked at again when the file may be writable
            raise

    async def _decide(self, mark: Fingerprint | None) -> Verdict:
        self._mark = mark
        self._known = await known_of(self._unit.engine, self._spec)
        return before_reading(self._known, self._spec, mark, force=self._event.data.force, asked=self._asked)

    def _left_to_others(self, reason: str) -> _Read:
        """A tick can do without: the next one sees what this one did not. A person's request is tried again."""
        if self._asked:
            raise SourceUnavailableError(f"{reason}; it is tried again")
        log.info("not read this time", dataset=self._spec.name, reason=reason)
        return _Read(verdict=Verdict.UNCHANGED)

    async def _read(self, connection: AsyncConnection) -> _Read:
        """Loads the source into a table of its own, which is kept only if it is a new snapshot."""
        spec, mark, data_dir = self._spec, self._mark, self._unit.settings.data_dir
        async with connection.begin():
            number = await reserve_snapshot(
                connection, spec.name, event_id=self._event.id, run_id=self._event.correlationid
            )
        async with connection.begin() as transaction:
            try:
                loaded = await load(connection, spec, number, open_batches(spec, data_dir))
            except PostgresError as error:
                # a data exception, or a limit: a character, a number of columns, a length that PostgreSQL refuses
                if str(error.sqlstate or "").startswith(("22", "54")):
                    raise RejectedError(f"PostgreSQL refuses the rows: {error}") from error
                raise
            if await asyncio.to_thread(fingerprint, spec, data_dir) != mark:
                await transaction.rollback()
                return self._left_to_others("the source changed while it was read")
            verdict = after_reading(self._known, spec, loaded.digest, force=self._event.data.force)
            if verdict is Verdict.LOADED:
                check_profile(loaded.profile, spec, rows_before=rows_before(self._known))
                await close_snapshot_table(connection, exposed(spec.name), number)
            else:
                await transaction.rollback()
        return _Read(verdict=verdict, mark=mark, number=number, loaded=loaded)

    async def _what_is_missing(self) -> bool:
        """Whether an unchanged data set has to go through the chain all the same."""
        latest, engine = self._known.latest, self._unit.engine
        if latest is None or not self._known.is_current(self._spec) or await is_under_way(engine, self._spec.name):
            return False
        reason = await self._missing(engine, self._unit.settings, self._spec, latest)
        if reason:
            log.info("unchanged, but a training is due", dataset=self._spec.name, reason=reason)
        return bool(reason)

    async def _loaded(self, connection: AsyncConnection, read: _Read, loaded: Loaded) -> Sequence[Event]:
        """Announces a new snapshot, unless another event has announced the same content a moment before."""
        spec, name = self._spec, self._spec.name
        await connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtext('rookery snapshot'), hashtext(:name))"), {"name": name}
        )
        latest = await latest_snapshot(connection, name)
        if latest is not None and latest.number > read.number:
            return await self._not_loaded(connection, msgspec.structs.replace(read, verdict=Verdict.UNCHANGED))
        rows = loaded.profile.rows
        await update_snapshot(
            connection,
            name,
            read.number,
            state="ready",
            digest=loaded.digest,
            spec_digest=spec.digest,
            fingerprint=read.mark,
            libraries=self._known.libraries,
            rows=rows,
            columns=msgspec.to_builtins(loaded.columns),
        )
        await want(connection, exposed(name), name, read.number)
        await self._unit.supersede(name, read.number - 1)
        self._unit.after_commit(partial(_expose, self._unit.engine, exposed(name)))
        log.info("snapshot loaded", dataset=name, snapshot=read.number, rows=rows)
        return [self._ingested(read.number, loaded.digest, rows)]

    async def _not_loaded(self, connection: AsyncConnection, read: _Read) -> Sequence[Event]:
        """Nothing new: the chain stops, or the last snapshot goes through it again."""
        await forget_reservation(connection, self._spec.name, self._event.id)
        latest = self._known.latest
        change = fingerprint_change(self._known, read.mark) if read.verdict is not Verdict.READ else {}
        if latest is None:
            return [self._answer(DatasetUnchanged, digest="")]
        if change:
            await update_snapshot(connection, latest.dataset, latest.number, **change)
        if read.verdict is not Verdict.AGAIN:
            return [self._answer(DatasetUnchanged, digest=latest.digest)]
        # What waits for this snapshot from an earlier run would only do the same work twice.
        await self._unit.supersede(latest.dataset, latest.number)
        return [self._ingested(latest.number, latest.digest, latest.rows)]

    async def _rejected(self, error: RookeryError) -> Sequence[Event]:
        connection = await self._unit.connection()
        await forget_reservation(connection, self._spec.name, self._event.id)
        row: dict[str, Any] = {
            "event_id": self._event.id,
            "dataset": self._spec.name,
            "reason": error.message,
            "rows": as_json(error),
            "fingerprint": self._mark,
            "spec_digest": self._spec.digest,
        }
        await connection.execute(insert(rejections).values(row).on_conflict_do_nothing())
        log.warning("data set rejected", dataset=self._spec.name, reason=error.message)
        return [self._answer(DatasetRejected, reason=error.message)]

    def _ingested(self, number: int, digest: str, rows: int) -> Event:
        event = self._answer(DatasetIngested, snapshot=number, digest=digest, rows=rows)
        self._unit.pace(event, self._spec.preprocess_min_interval_s)
        return event

    def _answer(self, kind: type[Event], **data: Any) -> Event:
        return kind.caused_by(self._event, dataset=self._spec.name, **data)


async def _expose(engine: AsyncEngine, table: str) -> None:
    await expose(engine, table)
