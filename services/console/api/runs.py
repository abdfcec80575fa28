"""Runs: the list, one run with its events and its log, and asking for another."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec

from common.operations import runs as operations
from common.operations.runs import get_run
from services.console.api.datasets import require_spec
from services.console.reading import events as reading_events
from services.console.reading import runs as reading
from services.console.reading.events import EventLine
from services.console.reading.logs import RunLog, read_run_log
from services.console.reading.runs import Filters, RunLine, RunsPage
from services.console.web.routing import Call, parse_id

MOST = 200


class RunsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a list of runs is narrowed to. `before` is the cursor `next` of the page before."""

    state: str = ""
    dataset: str = ""
    q: str = ""
    unchanged: bool = False
    before: datetime | None = None
    limit: int = 50


class RunAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be run. `force`: also where nothing changed. `stage`: where to begin."""

    dataset: str
    force: bool = False
    stage: Literal["ingest", "preprocess", "train"] = "ingest"


class RunBegun(msgspec.Struct, frozen=True):
    """The run that was begun or joined; `delivered` is false while Redis is away: it is delivered when that is back."""

    run: UUID
    delivered: bool


class RunDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One run: as the list shows it, and all its events."""

    run: RunLine
    seconds: float
    events: list[EventLine]
    rows: dict[str, Any]


async def list_runs(call: Call) -> RunsPage:
    """A page of runs."""
    query: RunsQuery = call.query
    filters = Filters(state=query.state, dataset=query.dataset, q=query.q[:100])
    limit = max(1, min(query.limit, MOST))
    async with call.parts.engine.connect() as connection:
        return await reading.list_run_lines(
            connection, filters, with_unchanged=query.unchanged, before=query.before, limit=limit
        )


async def show_run(call: Call) -> RunDetail:
    """One run."""
    run_id = await _run_id(call)
    async with call.parts.engine.connect() as connection:
        run = await get_run(connection, run_id)
        line = await reading.get_run_line(connection, msgspec.structs.asdict(run))
        events = await reading_events.list_event_lines(connection, reading_events.Filters(run=str(run_id)), limit=2000)
        snapshot = await reading.snapshot_of_run(connection, run_id)
        line = msgspec.structs.replace(line, snapshot=line.snapshot or snapshot)
        rows = await reading.rows_of_run(connection, run.dataset, line.snapshot)
    made = {(version.model, version.version): run_id for version in line.models}
    told = await reading_events.loadings(call.parts.redis, of=made)
    known = {event.id for event in events}
    merged = [*events, *(event for event in told if event.id not in known)]
    merged.sort(key=lambda event: (event.time, event.id))
    return RunDetail(run=line, seconds=run.seconds, events=merged, rows=rows)


async def show_log(call: Call) -> RunLog:
    """The log lines of one run."""
    run_id = await _run_id(call)
    return await asyncio.to_thread(read_run_log, Path(call.parts.settings.rookery_home), str(run_id))


async def trigger(call: Call) -> RunBegun:
    """Asks for a run; the answer is 202 also while Redis is away."""
    asked: RunAsked = call.body
    require_spec(call.parts.settings, asked.dataset)
    async with call.parts.engine.begin() as connection:
        run, events = await operations.trigger(
            connection, asked.dataset, requested_by=call.actor, force=asked.force, stage=asked.stage
        )
    return RunBegun(run, await call.parts.outbox.publish(events))


async def _run_id(call: Call) -> UUID:
    """The run in the path: its whole id, or the end of it."""
    text = call.path["id"]
    if len(text) >= 32:  # noqa: PLR2004 - a UUID without its dashes
        return parse_id(text)
    async with call.parts.engine.connect() as connection:
        return await operations.find_run(connection, text)
