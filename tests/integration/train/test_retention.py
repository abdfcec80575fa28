"""Old versions go, those that somebody may need stay, and the folder follows the table."""

from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from common.bundles import layout
from common.bundles.live import choose_live, go_live, live_row, sweep_live
from common.bundles.reader import list_versions, read_aliases
from common.bundles.retention import sweep_versions
from common.database.tables import live_models, model_versions
from common.settings import Settings
from tests.integration.train.conftest import add_snapshot, penguins
from tests.integration.train.test_publishing import requested, run

MODEL = "logistic_regression"


@pytest.fixture
async def trained(engine: AsyncEngine, postgres: Settings, spec_file: Path) -> Settings:
    """Six versions, each live in its turn; two are to be kept, and the trail is as short."""
    del spec_file
    await add_snapshot(engine, penguins())
    for _ in range(6):
        await run(requested(), engine, postgres)
    async with engine.begin() as connection:
        await connection.execute(update(live_models).values(trail=[6, 5]))
    return msgspec.structs.replace(postgres, model_versions_kept=2)


async def states(engine: AsyncEngine) -> dict[int, str]:
    """The state of each version."""
    async with engine.connect() as connection:
        rows = await connection.execute(select(model_versions.c.version, model_versions.c.state))
        return {int(version): str(state) for version, state in rows}


async def test_old_versions_go(engine: AsyncEngine, trained: Settings) -> None:
    """Beyond those kept, versions are dropped in table and folder; a second sweep finds nothing to do."""
    assert await sweep_versions(engine, trained) == [f"{MODEL}@{version}" for version in (1, 2, 3, 4)]
    assert list_versions(trained.models_dir, MODEL) == (5, 6)
    assert await states(engine) == {
        1: "dropped",
        2: "dropped",
        3: "dropped",
        4: "dropped",
        5: "published",
        6: "published",
    }
    assert await sweep_versions(engine, trained) == []


async def test_a_crash_between_table_and_folder_is_made_up_for(engine: AsyncEngine, trained: Settings) -> None:
    """A version marked as dropped whose folder is still there is removed by the next sweep."""
    async with engine.begin() as connection:
        await connection.execute(update(model_versions).where(model_versions.c.version == 1).values(state="dropped"))
    assert f"{MODEL}@1" in await sweep_versions(engine, trained)


async def test_a_version_that_was_rolled_back_to_stays(engine: AsyncEngine, trained: Settings) -> None:
    """What is live stays however old, and the folder says so within the call."""
    async with engine.begin() as connection:
        await choose_live(
            connection, model=MODEL, dataset="penguins", version=2, action="rollback", actor="test", reason="better"
        )
    assert await go_live(engine, trained, MODEL)
    aliases = read_aliases(trained.models_dir, MODEL, trained.signing_keys)
    assert (aliases.live, aliases.previous, aliases.trail[:3]) == (2, 6, (2, 6, 5))
    assert (trained.models_dir / f"{MODEL}.pkl").resolve().parent.name == "2"
    await sweep_versions(engine, trained)
    assert list_versions(trained.models_dir, MODEL) == (2, 5, 6)


async def test_reservations_without_an_event_have_failed(engine: AsyncEngine, trained: Settings) -> None:
    """A number whose event will make no version is closed."""
    async with engine.begin() as connection:
        await connection.execute(
            model_versions.insert().values(
                model=MODEL, version=7, dataset="penguins", family=MODEL, state="reserved", event_id=uuid4()
            )
        )
    await sweep_versions(engine, trained)
    assert (await states(engine))[7] == "failed"


@pytest.mark.parametrize("damage", ["removed", "tampered", "another key", "link", "folder"])
async def test_pointers_are_put_right(engine: AsyncEngine, trained: Settings, damage: str) -> None:
    """Whatever became of aliases and link, the sweep makes them say what the row says, by a higher generation."""
    path = layout.model_dir(trained.models_dir, MODEL) / layout.ALIASES
    before = read_aliases(trained.models_dir, MODEL, trained.signing_keys).generation
    if damage == "removed":
        path.unlink()
    elif damage == "tampered":
        path.write_bytes(path.read_bytes().replace(b'"live": 6', b'"live": 1'))
    elif damage == "link":
        (trained.models_dir / f"{MODEL}.pkl").unlink()
    elif damage == "folder":
        trained.models_dir.rename(trained.models_dir.with_name("moved"))
    settings = trained
    if damage == "another key":
        settings = msgspec.structs.replace(
            trained, rookery_signing_key=f"a-new-key-of-32-bytes-and-more-0,{trained.rookery_signing_key}"
        )
    await sweep_live(engine, settings)
    aliases = read_aliases(settings.models_dir, MODEL, settings.signing_keys[:1])
    assert aliases.live == 6
    assert aliases.generation >= before
    assert await sweep_live(engine, settings) == []
    async with engine.connect() as connection:
        row = await live_row(connection, MODEL)
    assert row is not None
    assert row.generation == aliases.generation
