"""The engine of one process: made by its composition root, inside the loop that uses it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from common.settings import Settings


@asynccontextmanager
async def database_engine(settings: Settings, application: str, *, pooled: bool = True) -> AsyncIterator[AsyncEngine]:
    """An engine of this loop; `application` is what PostgreSQL shows for its connections.

    A connection that died while it waited in the pool is noticed at the first statement and replaced, so that
    a restart of PostgreSQL costs one retry and no round trip a statement.
    """
    options: dict[str, Any] = (
        {"pool_size": 3, "max_overflow": 5, "pool_recycle": 1800} if pooled else {"poolclass": NullPool}
    )
    engine = create_async_engine(
        settings.database("asyncpg"),
        connect_args={"timeout": 5, "server_settings": {"application_name": application, "jit": "off"}},
        **options,
    )
    try:
        yield engine
    finally:
        await engine.dispose()
