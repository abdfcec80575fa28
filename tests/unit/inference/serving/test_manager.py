"""Managed is not serving: what serves changes only when its successor is ready."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from common.bundles.manifest import FORMAT, Aliases, Manifest, PredictorEntry
from common.bundles.writer import write_aliases, write_version
from common.errors import BundleError, NotFoundError
from common.features import Encoder
from services.inference.batching import Batcher, Outcome
from services.inference.envelope import Envelope
from services.inference.rows import RowReader
from services.inference.serving.manager import Manager
from services.inference.serving.serving_map import Asked, Served
from services.inference.serving.states import State

KEY = b"k" * 32
MANIFEST = Manifest(
    format=FORMAT,
    model="m",
    version=1,
    dataset="d",
    family="m",
    task="classification",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    event_id="e",
    run_id="r",
    snapshot=1,
    predictor=PredictorEntry("linear", "predictor.npz"),
)


class FakeLoader:
    """Loads what it is not told to refuse, when it is allowed to."""

    def __init__(self) -> None:
        self.refused: set[int] = set()
        self.unforeseen: set[int] = set()
        self.loads: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, model: str, version: int) -> Served:
        """Waits for the gate."""
        self.loads.append(version)
        await self.gate.wait()
        if version in self.refused:
            raise BundleError("refused by the test")
        if version in self.unforeseen:
            raise ValueError("no check foresaw this")
        manifest = msgspec.structs.replace(MANIFEST, version=version)
        batcher = Batcher(lambda _: Outcome([], None))
        return Served(
            model,
            version,
            manifest,
            Encoder(()),
            RowReader(Encoder(())),
            batcher,
            Envelope(model, version, ()),
            manifest.created_at,
            0,
        )


class FakeListener:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def loaded(self, served: Served) -> None:
        """Notes it."""
        self.heard.append(("loaded", served.version))

    def rejected(self, _model: str, version: int, _reason: str, _milliseconds: float) -> None:
        """Notes it."""
        self.heard.append(("rejected", version))


class World:
    """A folder, and a manager of it."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor) -> None:
        self.folder = folder
        self.loader = FakeLoader()
        self.listener = FakeListener()
        self.generation = 0
        self.manager = Manager(folder, [KEY], self.loader, self.listener, executor=executor)

    def publish(self, version: int, **more: Any) -> None:
        """Writes a version unless it is there, and makes it live."""
        if not (self.folder / "versions" / "m" / str(version)).exists():
            write_version(self.folder, msgspec.structs.replace(MANIFEST, version=version), {}, KEY)
        self.generation += 1
        fields = {"generation": self.generation, "trail": (version,), **more}
        write_aliases(self.folder, Aliases(format=FORMAT, model="m", live=version, **fields), KEY)

    @property
    def live(self) -> int | None:
        """The version that answers."""
        view = self.manager.serving.models.get("m")
        return view.live.version if view is not None and view.live is not None else None


async def until(seen: Callable[[], bool]) -> None:
    """Lets the loop turn until something is so."""
    async with asyncio.timeout(5):
        while not seen():  # noqa: ASYNC110 - what is waited for raises no event
            await asyncio.sleep(0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A model folder with a manager that is driven by hand."""
    with ThreadPoolExecutor(1) as executor:
        made = World(tmp_path, executor)
        yield made
        await made.manager.close()


async def test_the_old_version_serves_until_the_new_one_is_ready(world: World) -> None:
    """While a version loads, the one before it answers; then one assignment swaps them."""
    world.publish(1)
    await world.manager.reconcile_once()
    world.publish(2)
    world.loader.gate.clear()
    look = asyncio.create_task(world.manager.reconcile_once())
    await until(lambda: world.loader.loads == [1, 2])
    assert world.live == 1
    assert [harness.state for harness in world.manager.managed()] == [State.READY, State.LOADING]
    before = world.manager.serving
    world.loader.gate.set()
    await look
    assert world.live == 2
    assert before.models["m"].live is not None
    assert before.models["m"].live.version == 1


async def test_a_refused_version_is_loaded_once(world: World) -> None:
    """A version that was refused leaves the old one, says why, and is not tried again until its files change."""
    world.publish(1)
    await world.manager.reconcile_once()
    world.loader.refused = {2}
    world.publish(2)
    for _ in range(3):
        await world.manager.reconcile_once()
    assert world.live == 1
    assert world.loader.loads == [1, 2]
    assert "refused by the test" in world.manager.serving.models["m"].error
    world.loader.refused = set()
    (world.folder / "versions" / "m" / "2" / "mended").touch()
    await world.manager.reconcile_once()
    assert world.live == 2
    assert world.listener.heard == [("loaded", 1), ("rejected", 2), ("loaded", 2)]


async def test_what_no_check_foresaw_is_a_refusal_with_its_reason(world: World) -> None:
    """An error that is not ours, of one version, leaves the old one and is told as the reason."""
    world.publish(1)
    await world.manager.reconcile_once()
    world.loader.unforeseen = {2}
    world.publish(2)
    await world.manager.reconcile_once()
    assert world.live == 1
    assert "ValueError: no check foresaw this" in world.manager.serving.models["m"].error
    assert world.listener.heard == [("loaded", 1), ("rejected", 2)]


async def test_a_restart_falls_back_to_what_was_live(world: World) -> None:
    """A new process whose live version is refused serves the newest of the trail that loads."""
    for version in (1, 2, 3):
        world.publish(version, trail=tuple(range(version, 0, -1)))
    world.loader.refused = {2, 3}
    await world.manager.reconcile_once()
    assert world.live == 1


@pytest.mark.parametrize("damage", ["missing", "empty", "no aliases", "unsigned"])
async def test_a_damaged_folder_unloads_nothing(world: World, damage: str) -> None:
    """A folder that is missing or empty, or aliases that are gone or not ours, change nothing of what serves."""
    world.publish(1)
    await world.manager.reconcile_once()
    versions = world.folder / "versions"
    if damage == "missing":
        versions.rename(world.folder / "elsewhere")
    elif damage == "empty":
        versions.rename(world.folder / "elsewhere")
        versions.mkdir()
    elif damage == "no aliases":
        (versions / "m" / "aliases.json").unlink()
    else:
        (versions / "m" / "aliases.json").write_text('{"format":1,"model":"m","generation":9,"live":1}')
    await world.manager.reconcile_once()
    assert world.live == 1
    assert world.manager.folder_error or world.manager.serving.models["m"].error


async def test_aliases_that_went_back_are_not_obeyed(world: World) -> None:
    """An older generation of the aliases, put back by whomever, is refused."""
    world.publish(1)
    old = (world.folder / "versions" / "m" / "aliases.json").read_bytes()
    world.publish(2)
    await world.manager.reconcile_once()
    (world.folder / "versions" / "m" / "aliases.json").write_bytes(old)
    await world.manager.reconcile_once()
    assert world.live == 2
    assert "generation" in world.manager.serving.models["m"].error


async def test_a_restored_folder_is_taken_once_its_generation_is_above(world: World) -> None:
    """Of a folder restored in place nothing is obeyed until its generation rises; then its files serve, not the old."""
    for version in range(1, 4):
        world.publish(version, trail=tuple(range(version, 0, -1)))
    shutil.copytree(world.folder / "versions", world.folder / "backup")
    world.publish(4, trail=(4, 3))
    await world.manager.reconcile_once()
    shutil.rmtree(world.folder / "versions")
    await world.manager.reconcile_once()
    (world.folder / "backup").rename(world.folder / "versions")
    await world.manager.reconcile_once()
    assert world.live == 4
    world.generation = 1_800_000_000
    world.publish(3)
    await world.manager.reconcile_once()
    assert world.live == 3
    assert not world.manager.serving.models["m"].error


async def test_a_number_that_is_another_fit_is_loaded_again(world: World) -> None:
    """Where a version's files were replaced under its number, the new ones serve; refused ones change nothing."""
    world.publish(1)
    await world.manager.reconcile_once()
    first = world.manager.serving.models["m"].live
    shutil.rmtree(world.folder / "versions" / "m" / "1")
    world.publish(1)
    world.loader.refused = {1}
    await world.manager.reconcile_once()
    assert world.manager.serving.models["m"].live is first
    world.loader.refused = set()
    world.publish(1)
    await world.manager.reconcile_once()
    assert world.manager.serving.models["m"].live not in {None, first}
    assert world.loader.loads == [1, 1, 1]


@pytest.mark.parametrize("made", [True, False], ids=["empty", "missing"])
async def test_before_the_first_training(world: World, *, made: bool) -> None:
    """An empty folder waits for its first model, which is no error; one that is not there at all is."""
    if not made:
        world.folder.rmdir()
    with capture_logs() as said:
        for _ in range(2):
            await world.manager.reconcile_once()
    assert [entry["log_level"] for entry in said] == ["info" if made else "error"]
    assert bool(world.manager.folder_error) != made


async def test_a_rollback_needs_no_load(world: World) -> None:
    """The previous version is kept ready, so going back to it loads nothing."""
    world.publish(1)
    await world.manager.reconcile_once()
    world.publish(2, previous=1)
    await world.manager.reconcile_once()
    world.publish(1, previous=2)
    await world.manager.reconcile_once()
    assert world.live == 1
    assert world.loader.loads == [1, 2]


async def test_a_version_asked_for_is_loaded_once(world: World) -> None:
    """Two requests for the same version wait for the same load; one that is not on disk is not found."""
    world.publish(1)
    world.publish(2)
    await world.manager.reconcile_once()
    first, second = await asyncio.gather(world.manager.version(Asked("m", 1)), world.manager.version(Asked("m", 1)))
    assert first is second
    assert world.loader.loads == [2, 1]
    assert world.manager.serving.find("m@1") is first
    with pytest.raises(NotFoundError, match="on disk are 1, 2"):
        await world.manager.version(Asked("m", 3))


async def test_only_the_versions_used_last_stay_loaded(world: World) -> None:
    """Of versions asked for by number, the last two stay."""
    for version in range(1, 6):
        world.publish(version)
    await world.manager.reconcile_once()
    for version in (1, 2, 3):
        await world.manager.version(Asked("m", version))
    assert {harness.version for harness in world.manager.managed()} == {2, 3, 5}


async def test_the_loop_survives_whatever_a_look_raises(world: World) -> None:
    """An error in one look is logged, and the next look takes place."""
    world.publish(1)
    looks = 0

    def supervise() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("once")

    task = asyncio.create_task(world.manager.run(0.001, supervise))
    await until(lambda: world.live == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert looks > 1
