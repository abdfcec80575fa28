"""`rookery models`: which versions there are, and deciding which one is live."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from common.bundles.live import go_live
from common.operations import models
from common.operations.models import Model
from services.local.progress import main_metric
from services.local.session import Session, open_session

BY = "command line"
T = TypeVar("T")


def list_command(*, as_json: bool) -> None:
    """Lists the models."""
    found = asyncio.run(_read(open_session(), models.list_models))
    if as_json:
        _print_json(found)
        return
    table = _table("model", "live", "metric", "newest", "held", "since", "decided by", "why")
    for model in found:
        table.add_row(
            model.name,
            f"{model.live or ''}{' pinned' if model.pinned else ''}",
            main_metric(model.metrics) if model.metrics else "",
            str(model.newest),
            ", ".join(map(str, model.held)),
            model.live_since.astimezone().strftime("%d %b %H:%M:%S") if model.live_since else "",
            model.decided_by or "",
            model.reason or "",
        )
    _print(table if found else "no models yet")


def show_command(name: str, *, as_json: bool) -> None:
    """Lists the versions of a model."""

    async def read(connection: AsyncConnection) -> list[models.ModelVersion]:
        await models.get_model(connection, name)
        return await models.list_versions(connection, name)

    found = asyncio.run(_read(open_session(), read))
    if as_json:
        _print_json(found)
        return
    table = _table("version", "role", "metric", "snapshot", "parameters", "seconds", "made", "reason")
    for version in found:
        table.add_row(
            str(version.version),
            version.role,
            main_metric(version.metrics) if version.metrics else "",
            str(version.snapshot or ""),
            ", ".join(f"{key}={value}" for key, value in version.best_params.items()),
            f"{version.seconds:.1f}" if version.seconds is not None else "",
            version.created_at.astimezone().strftime("%d %b %H:%M:%S"),
            version.reason or "",
        )
    _print(table)


def history_command(name: str | None, *, as_json: bool) -> None:
    """Lists who decided what and why."""

    async def read(connection: AsyncConnection) -> list[models.Decision]:
        return await models.history(connection, model=name)

    found = asyncio.run(_read(open_session(), read))
    if as_json:
        _print_json(found)
        return
    table = _table("when", "model", "version", "what", "by", "why")
    for decision in found:
        moment = decision.at.astimezone().strftime("%d %b %H:%M:%S")
        table.add_row(moment, decision.model, str(decision.version), decision.action, decision.actor, decision.reason)
    _print(table if found else "no decisions yet")


def promote_command(name: str, version: int, reason: str, *, pin: bool) -> None:
    """Makes a version live."""
    _decide(name, lambda connection: models.promote(connection, name, version, by=BY, reason=reason, pin_it=pin))


def rollback_command(name: str, version: int | None, reason: str) -> None:
    """Goes back to an earlier version."""
    _decide(name, lambda connection: models.rollback(connection, name, by=BY, reason=reason, version=version))


def pin_command(name: str, reason: str) -> None:
    """Keeps the live version."""
    _decide(name, lambda connection: models.pin(connection, name, by=BY, reason=reason))


def unpin_command(name: str, reason: str) -> None:
    """Lets the next version go live."""
    _decide(name, lambda connection: models.unpin(connection, name, by=BY, reason=reason))


def _decide(name: str, decision: Callable[[AsyncConnection], Awaitable[Model]]) -> None:
    """One decision, committed; then the folder is made to say the same, which inference follows within a moment."""

    async def decide() -> Model:
        async with session.engine() as engine:
            async with engine.begin() as connection:
                model = await decision(connection)
            await go_live(engine, session.settings, name)
        return model

    session = open_session()
    model = asyncio.run(decide())
    pinned = ", pinned: later versions wait" if model.pinned else ""
    _print(f"{model.name}: version {model.live} is live{pinned}")


async def _read(session: Session, query: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    async with session.transaction() as connection:
        return await query(connection)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading)
    return table


def _print(what: Table | str) -> None:
    wide = None if sys.stdout.isatty() else 200  # a file or pipe has no width of its own
    Console(width=wide).print(what, highlight=False)


def _print_json(what: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(what)).decode() + "\n")
