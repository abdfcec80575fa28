"""What most commands need: the settings of the instance, and its database."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from common.errors import ConflictError
from common.settings import Settings, load_settings
from services.local.home import Home
from services.local.surroundings import read_environment, with_instance

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


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
            try:
                async with engine.connect():
                    pass
            except OSError as error:
                raise ConflictError(f"PostgreSQL does not answer ({error}): is the stack up? `rookery up`") from error
            yield engine

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
    return Session(home=home, settings=load_settings(complete), environment=environment)
