"""What tests of several rooms begin with."""

from collections.abc import AsyncIterator

import pytest

from common.database.engine import database_engine
from common.settings import Settings
from tests.desk import Desk


@pytest.fixture
async def desk(postgres: Settings) -> AsyncIterator[Desk]:
    """A place to drive ingest and preprocess by hand, on a fresh database and empty folders."""
    async with database_engine(postgres, "desk") as engine:
        yield Desk(postgres, engine)
