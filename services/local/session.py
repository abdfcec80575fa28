"""What most commands need: the settings of the instance, and its database."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from common.errors import ConflictError
from common.logs import configure_logs
from common.settings import Settings, load_settings
from services.local.home import Home
from services.local.surroundings import read_environment, with_instance

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


PATIENCE_S = 10.0


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a command."""

    home: Home
    settings: Settings
    environment: dict[str, str]

    @asynccontextmanager
    async def engine(self) -> "AsyncIterator[AsyncEngine]":
        """The database of the instance. Raises ConflictError where it is not reached."""
        from common.database.engine import database_engine

        async with database_engine(self.settings, "rookery-cli") as engine:
            await self._connect(engine)
            yield engine

    async def _connect(self, engine: "AsyncEngine") -> None:
        """Connects once; a server that is just being started again by a running stack is waited for."""
        from sqlalchemy.exc import DBAPIError

        deadline = time.monotonic() + (PATIENCE_S if self.home.supervisor() else 0)
        while True:
            try:
                async with engine.connect():
                    return
            except (OSError, DBAPIError) as error:
                if time.monotonic() > deadline:
                    reason = str(getattr(error, "orig", None) or error).splitlines()[0]
                    raise ConflictError(
                        f"PostgreSQL does not answer ({reason}): is the stack up? `rookery up`"
                    ) from error
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def transaction(self) -> "AsyncIterator[AsyncConnection]":
        """A transaction of its own, committed at the end."""
        async with self.engine() as engine, engine.begin() as connection:
            yield connection


def open_session() -> Session:
    """The session of this call, from the environment, `.env` and what the instance keeps."""
    environment = read_environment(Path.cwd(), os.environ)
    home = Home.at(environment.get("ROOKERY_HOME") or ".rookery")
    complete = with_instance(environment, home)
    settings = load_settings(complete)
    # A command says itself what it has done; of the log only what went wrong is for the person, on standard error.
    configure_logs(msgspec.structs.replace(settings, log_level="WARNING"), "rookery")
    return Session(home=home, settings=settings, environment=environment)
