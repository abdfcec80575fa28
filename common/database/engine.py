"""The engines of one process: made by its composition root, inside the loop that uses them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from common.settings import Settings

_CONNECT_TIMEOUT_S = 5
# Short statements gain nothing from compilation, and it costs tens of milliseconds at first.
_SERVER_SETTINGS = {"jit": "off"}


@asynccontextmanager
async def database_engine(settings: Settings, application: str, *, pooled: bool = True) -> AsyncIterator[AsyncEngine]:
    """An engine of this loop; `application` is what PostgreSQL shows for its connections.

    A connection that died while it waited in the pool is found at its first statement, which fails as retryable; all
    others of its age are replaced with it.
    """
    options: dict[str, Any] = {"pool_size": 3, "max_overflow": 5} if pooled else {"poolclass": NullPool}
    engine = create_async_engine(
        settings.database("asyncpg"),
        connect_args={
            "timeout": _CONNECT_TIMEOUT_S,
            "server_settings": {**_SERVER_SETTINGS, "application_name": application},
        },
        **options,
    )
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def claims_engine(settings: Settings, application: str) -> AsyncIterator[AsyncEngine]:
    """An engine for claims, renewals and publication marks: autocommit, and commits that do not wait for the disk."""
    engine = create_async_engine(
        settings.database("asyncpg"),
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=2,
        connect_args={
            "timeout": _CONNECT_TIMEOUT_S,
            "server_settings": {**_SERVER_SETTINGS, "application_name": application, "synchronous_commit": "off"},
        },
    )
    try:
        yield engine
    finally:
        await engine.dispose()
