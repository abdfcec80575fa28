"""A large grid is searched by several events, and exactly one of them publishes."""

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from common.bundles.reader import list_versions, read_manifest
from common.database.tables import events
from common.events.model import CandidatesScored, Event, ModelPublished
from common.events.store import to_row
from common.settings import Settings
from tests.integration.train.conftest import add_snapshot, penguins
from tests.integration.train.test_publishing import preprocessed, requested, run

pytestmark = pytest.mark.usefixtures("spec_file")
LARGE = "grid = { C = [0.001, 0.01, 0.1, 1, 10, 100], tol = [0.001, 0.0001, 0.00001] }"


async def commit(engine: AsyncEngine, event: Event) -> None:
    """Puts an event into the outbox, as the runtime does before anybody handles it."""
    async with engine.begin() as connection:
        await connection.execute(insert(events).values(to_row(event)))


async def scored_slices(engine: AsyncEngine, settings: Settings, spec_file: Any) -> list[CandidatesScored]:
    """The events of all slices of a grid of 18 candidates."""
    spec_file.write_text(spec_file.read_text().replace("grid = { C = [0.1, 1, 10] }", LARGE))
    await add_snapshot(engine, penguins())
    asked = await run(preprocessed(), engine, settings)
    slices = [event for event in asked if event.data.family == "logistic_regression"]
    assert [(event.data.slice, event.data.slices) for event in slices] == [(0, 2), (1, 2)]
    return [scored for event in slices for scored in await run(event, engine, settings)]


async def test_the_last_slice_publishes(engine: AsyncEngine, postgres: Settings, spec_file: Any) -> None:
    """While a slice is missing nothing is made; the last one makes the version that one search would have made."""
    first, last = await scored_slices(engine, postgres, spec_file)
    await commit(engine, first)
    assert await run(first, engine, postgres) == []
    await commit(engine, last)
    _, told = await run(last, engine, postgres)
    assert isinstance(told, ModelPublished)
    whole = requested()
    await run(whole, engine, postgres)
    keys = postgres.signing_keys
    sliced, single = (read_manifest(postgres.models_dir, "logistic_regression", number, keys) for number in (1, 2))
    assert sliced.best_params == single.best_params
    assert sliced.samples == single.samples
    assert [score["mean"] for score in sliced.scores] == [score["mean"] for score in single.scores]
    assert len(sliced.scores) == 18


async def test_two_that_are_last_make_one_version(engine: AsyncEngine, postgres: Settings, spec_file: Any) -> None:
    """Where all slices are there before any is handled, one of them publishes, also when both are handled at once."""
    scored = await scored_slices(engine, postgres, spec_file)
    for event in scored:
        await commit(engine, event)
    results = await asyncio.gather(*(run(event, engine, postgres) for event in scored))
    assert sorted(len(result) for result in results) == [0, 2]
    assert list_versions(postgres.models_dir, "logistic_regression") == (1,)
    again = [await run(event, engine, postgres) for event in scored]
    assert sorted(len(result) for result in again) == [0, 2]
    assert list_versions(postgres.models_dir, "logistic_regression") == (1,)


async def test_another_run_has_its_own_version(engine: AsyncEngine, postgres: Settings, spec_file: Any) -> None:
    """The slices of one run do not finish those of another."""
    scored = await scored_slices(engine, postgres, spec_file)
    others = [msgspec.structs.replace(event, id=requested().id, correlationid=requested().id) for event in scored[:1]]
    for event in (scored[1], *others):
        await commit(engine, event)
    assert await run(others[0], engine, postgres) == []
