"""Whether an unchanged data set needs a training all the same."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from common.database.engine import database_engine
from common.datasets import DatasetSpec, load_spec
from common.settings import Settings
from common.snapshots import Snapshot
from services.ingest.completeness import what_is_missing

SPEC = Path(__file__).parents[3] / "shared" / "datasets" / "penguins.toml"
SNAPSHOT = Snapshot(dataset="penguins", number=3, state="ready")


@pytest.fixture
def spec() -> DatasetSpec:
    """The built-in data set's spec."""
    return load_spec(SPEC)


@pytest.fixture
async def engine(postgres: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine of this test."""
    async with database_engine(postgres, "test") as made:
        yield made


async def train(engine: AsyncEngine, *models: str) -> None:
    """Records a published version of the snapshot for each model."""
    async with engine.begin() as connection:
        for model in models:
            await connection.execute(
                text(
                    "INSERT INTO rookery.model_versions (model, version, dataset, family, state, snapshot)"
                    " VALUES (:model, 1, 'penguins', :model, 'published', 3)"
                ),
                {"model": model},
            )


async def end_run(engine: AsyncEngine, state: str, outcome: str, *, ago_s: float) -> UUID:
    """Records a run that ended so long ago."""
    run = uuid4()
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO rookery.runs (id, dataset, state, outcome, requested_by, urgent, started_at, ended_at)"
                " VALUES (:id, 'penguins', :state, :outcome, 'schedule', false,"
                " clock_timestamp() - make_interval(secs => :ago), clock_timestamp() - make_interval(secs => :ago))"
            ),
            {"id": run, "state": state, "outcome": outcome, "ago": ago_s},
        )
    return run


async def test_an_untrained_family_is_missing(engine: AsyncEngine, postgres: Settings, spec: DatasetSpec) -> None:
    """A family without a version of the snapshot is a reason to train, and is named."""
    await train(engine, "random_forest", "svc")
    reason = await what_is_missing(engine, postgres, spec, SNAPSHOT)
    assert reason == "snapshot 3 has no version of logistic_regression"


async def test_a_live_version_that_is_gone_is_missing(
    engine: AsyncEngine, postgres: Settings, spec: DatasetSpec
) -> None:
    """A deleted model folder is a reason to train, though every family has its version on record."""
    await train(engine, "random_forest", "svc", "logistic_regression")
    reason = await what_is_missing(engine, postgres, spec, SNAPSHOT)
    assert reason is not None
    assert reason.startswith("logistic_regression: ")


async def test_what_goes_live_this_moment_is_not_missing(
    engine: AsyncEngine, postgres: Settings, spec: DatasetSpec
) -> None:
    """Between the commit that decides and the file that says so, nothing is trained again."""
    models = ("random_forest", "svc", "logistic_regression")
    await train(engine, *models)
    async with engine.begin() as connection:
        for model in models:
            await connection.execute(
                text(
                    "INSERT INTO rookery.live_models (model, dataset, generation, live, written_generation)"
                    " VALUES (:model, 'penguins', 2, 1, 1)"
                ),
                {"model": model},
            )
    assert await what_is_missing(engine, postgres, spec, SNAPSHOT) is None


async def test_a_failed_run_is_not_tried_again_at_every_tick(
    engine: AsyncEngine, postgres: Settings, spec: DatasetSpec
) -> None:
    """After failures the next try waits, longer each time, and runs without news in between do not count."""
    await end_run(engine, "failed", "failed", ago_s=100)
    await end_run(engine, "failed", "failed", ago_s=70)
    await end_run(engine, "completed", "unchanged", ago_s=5)
    assert await what_is_missing(engine, postgres, spec, SNAPSHOT) is None
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE rookery.runs SET ended_at = ended_at - interval '1 min'"))
    assert await what_is_missing(engine, postgres, spec, SNAPSHOT)
