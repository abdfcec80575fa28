"""`rookery status`, `pause` and `resume`."""

import asyncio
import sys

import msgspec
from rich.console import Console

from common.operations import datasets
from services.local.commands.runs import names_of
from services.local.session import open_session
from services.local.status import look, show


def status_command(*, as_json: bool) -> int:
    """Shows what runs. Returns 0 where the stack runs, else 1."""
    session = open_session()
    status = look(session.home, session.settings)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(status)).decode() + "\n")
    else:
        show(status, Console())
    return 0 if status.running else 1


def pause_command(dataset: str, reason: str) -> None:
    """Stops a data set's ticks."""

    async def pause() -> None:
        async with session.transaction() as connection:
            await datasets.pause(connection, dataset, by="command line", reason=reason)

    session = open_session()
    names_of(session.settings, dataset)
    asyncio.run(pause())
    Console().print(f"{dataset} is paused; `rookery resume {dataset}` lets it go on", highlight=False)


def resume_command(dataset: str) -> None:
    """Lets a data set's ticks go on."""

    async def resume() -> None:
        async with session.transaction() as connection:
            await datasets.resume(connection, dataset)

    session = open_session()
    asyncio.run(resume())
    Console().print(f"{dataset} goes on", highlight=False)
