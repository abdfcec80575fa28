"""`rookery events` with its dead letters."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import msgspec
from rich.console import Console
from rich.text import Text

from common.events.broker import make_app
from common.events.publisher import Publisher, PublishError
from common.operations.events import EventDetail, discard_event, find_event, list_events, retry_event
from common.operations.runs import find_run
from services.local.session import Session, open_session

_STYLES = {"dead": "red", "retrying": "yellow", "running": "blue", "queued": "dim", "waiting": "dim"}
_DATA_WIDTH = 100


def events_command(
    *, follow: bool, dead: bool, kind: str | None, dataset: str | None, run: str | None, limit: int, as_json: bool
) -> None:
    """Lists events, the oldest first; `follow` goes on with what comes."""
    query = _Query(dead=dead, kind=kind, dataset=dataset, run=run, limit=limit)
    asyncio.run(_events(open_session(), query, follow=follow, as_json=as_json))


class _Query(msgspec.Struct, frozen=True, kw_only=True):
    dead: bool
    kind: str | None
    dataset: str | None
    run: str | None
    limit: int


async def _events(session: Session, query: _Query, *, follow: bool, as_json: bool) -> None:
    console = Console()
    async with session.engine() as engine:
        async with engine.connect() as connection:
            run_id = await find_run(connection, query.run) if query.run else None
        shown: dict[UUID, str] = {}
        limit = query.limit
        while True:
            async with engine.connect() as connection:
                found = await list_events(
                    connection, kind=query.kind, dataset=query.dataset, run=run_id, dead=query.dead, limit=limit
                )
            fresh = [event for event in reversed(found) if shown.get(event.id) != event.state]
            shown = {**dict(list(shown.items())[-5000:]), **{event.id: event.state for event in fresh}}
            _print(console, fresh, as_json=as_json)
            if not follow:
                if not found and not as_json:
                    console.print("no dead letters" if query.dead else "no events")
                return
            limit = max(query.limit, 200)
            await asyncio.sleep(0.5)


def _print(console: Console, events: Sequence[EventDetail], *, as_json: bool) -> None:
    for event in events:
        if as_json:
            sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
            sys.stdout.flush()
        else:
            console.print(_line(event), soft_wrap=True)
            if event.state == "dead":
                console.print(Text(f"{'':<13}{event.error or ''}", "red"), soft_wrap=True)


def _line(event: EventDetail) -> Text:
    """An event on one line: time, the ends of its id and its run's, type, state, data."""
    moment = event.time.astimezone().strftime("%H:%M:%S.%f")[:12]
    data = json.dumps(event.data, ensure_ascii=False)
    data = data if len(data) <= _DATA_WIDTH else data[: _DATA_WIDTH - 1] + "…"
    took = f" {event.seconds:.2f} s" if event.seconds is not None else ""
    text = Text(f"{moment} ")
    text.append(f"{str(event.id)[-6:]} of {str(event.run)[-6:]}  ", "dim")
    text.append(f"{event.type:<22}")
    text.append(f" {event.state}{took}", _STYLES.get(event.state, "green"))
    text.append(f"  {data}", "dim")
    return text


def retry_command(event: str) -> None:
    """Gives a dead letter new attempts."""
    asyncio.run(_retry(open_session(), event))


async def _retry(session: Session, text_id: str) -> None:
    async with session.transaction() as connection:
        event = await retry_event(connection, await find_event(connection, text_id))
    publisher = Publisher(make_app(session.settings, "local"))
    with suppress(PublishError):  # the sweep sends it
        await asyncio.to_thread(publisher.publish, [event])
    publisher.close()
    Console().print(f"{event.type} {event.id} has new attempts", highlight=False)


def discard_command(event: str) -> None:
    """Takes a dead letter off the list."""
    asyncio.run(_discard(open_session(), event))


async def _discard(session: Session, text_id: str) -> None:
    async with session.transaction() as connection:
        event_id = await find_event(connection, text_id)
        await discard_event(connection, event_id, by="command line")
    Console().print(f"{event_id} is discarded; its run stays failed", highlight=False)
