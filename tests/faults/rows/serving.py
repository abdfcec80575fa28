"""New versions under load, broken ones, and a model folder that goes away: what served serves on."""

import asyncio
import contextlib
import shutil
import signal
import time

import numpy as np

from common.bundles import layout
from tests.bundles import Folder
from tests.faults.arena import chosen
from tests.faults.checker import check
from tests.faults.damages import DAMAGES, Damage
from tests.faults.ground import Ground
from tests.faults.history import Fault, Released, Served
from tests.faults.mounts import mount_folder, mount_memory, unmount
from tests.faults.outcome import Outcome, spread
from tests.faults.parlour import MODEL, Models, Parlour

WARM_UP = 10
POLL_S = 2.0


async def reloads(ground: Ground, *, count: int, every_s: float = 0.15, control: str = "") -> Outcome:
    """Versions of a forest of a hundred trees, one after the other, while clients ask."""
    outcome = Outcome(row="reload under load")
    models = Models(trees=100)
    async with Parlour(ground, "reload", models, control=control) as parlour:
        async with parlour.clients():
            await asyncio.sleep(4)
            reloading_from = time.time()
            rss: list[float] = []
            for version in range(2, count + 2):
                began = time.monotonic()
                await asyncio.to_thread(parlour.publish, version)
                await asyncio.to_thread(_keep, parlour, version)
                if version >= WARM_UP:
                    rss.append(parlour.process.memory_info().rss / 2**20)
                await asyncio.sleep(max(0.0, every_s - (time.monotonic() - began)))
            until = time.time()
            await asyncio.sleep(1)
        served = parlour.history.of(Served)
        steady = _p99([one for one in served if one.at < reloading_from])
        during = _p99([one for one in served if reloading_from <= one.at <= until])
        outcome.figures |= {"versions reloaded": count, "answers": len(served), "p99 steady ms": round(steady, 2)}
        outcome.mark("p99 reloading ms", during, at_most=max(2 * steady, steady + 10))
        grown = max(rss) - rss[0] if rss else 0.0
        outcome.figures["RSS MB"] = round(max(rss, default=0.0), 1)
        outcome.mark("RSS growth MB", grown, at_most=max(50.0, 0.2 * (rss[0] if rss else 0)))
        spread(outcome, "live after s", [_live_after(parlour, version) for version in range(2, count + 2)], at_most=1)
        close(outcome, parlour)
    return outcome


def _keep(parlour: Parlour, version: int) -> None:
    """Removes what retention would: versions long out of use."""
    shutil.rmtree(layout.version_dir(parlour.folder.models_dir, MODEL, version - 20), ignore_errors=True)


def _p99(served: list[Served]) -> float:
    return float(np.percentile([one.seconds * 1000 for one in served], 99)) if served else 0.0


def _live_after(parlour: Parlour, version: int) -> float | None:
    """Seconds from the change of the aliases to the first answer of the version, or of a newer one."""
    moments = (one.at for one in parlour.history.of(Served) if one.version >= version)
    first = min(moments, default=None)
    return None if first is None else first - parlour.pointed[version]


def close(outcome: Outcome, parlour: Parlour, *, deaths: int = 0) -> None:
    """Holds what was recorded to what every row is held to."""
    outcome.found(check(parlour.history.records, ()))
    outcome.exactly("server deaths", len(parlour.deaths), expected=deaths)
    outcome.figures["answers"] = len(parlour.history.of(Served))


async def damaged(ground: Ground, *, count: int, kinds: tuple[str, ...] = (), control: str = "") -> Outcome:
    """Versions that are broken, forged or hostile, each made live; the old one serves, and later a good one."""
    outcome = Outcome(row="damaged bundles")
    source = chosen(5)
    damages = [one for one in DAMAGES if not kinds or one.name in kinds]
    refused = 0
    async with Parlour(ground, "damaged", Models(trees=3), control=control) as parlour:
        marker = parlour.run / "hostile"
        async with parlour.clients(2):
            for number in range(count):
                version, damage = number + 2, damages[number % len(damages)]
                await asyncio.to_thread(_break, parlour, version, damage, source.randrange(2**31))
                refused += await _refused(parlour, version)
                shutil.rmtree(layout.version_dir(parlour.folder.models_dir, MODEL, version), ignore_errors=True)
            parlour.publish(count + 2)
            outcome.mark("good one live after s", _since(parlour, await parlour.serves(count + 2)), at_most=3)
        outcome.exactly("refused with a reason", refused, expected=count)
        outcome.exactly("marker files", int(marker.exists()), expected=0)
        outcome.figures |= {"bundles": count, "kinds": len(damages)}
        close(outcome, parlour)
    return outcome


def _since(parlour: Parlour, moment: float | None) -> float | None:
    return None if moment is None else moment - parlour.pointed[max(parlour.pointed)]


def _break(parlour: Parlour, version: int, damage: Damage, seed: int) -> None:
    """Writes a version, breaks it, and makes it live."""
    parlour.folder.write(parlour.models.of(version), version)
    folder = layout.version_dir(parlour.folder.models_dir, MODEL, version)
    damage.apply(folder, chosen(seed), parlour.run / "hostile")
    parlour.folder.point(MODEL, version)


async def _refused(parlour: Parlour, version: int, *, seconds: float = 5.0) -> bool:
    """Whether `/models` says that the version is refused, and why."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if f"version {version} is refused" in ((await parlour.entry()).get("error") or ""):
            return True
        await asyncio.sleep(0.02)
    return False


async def folders(ground: Ground) -> Outcome:
    """The model folder is deleted and made anew, swapped by a rename, and nobody tells of it."""
    outcome = Outcome(row="model folder deleted, swapped, unheard")
    waits: dict[str, float | None] = {}
    models = Models(trees=3)
    for name, take_away in (("deleted", _delete), ("swapped", _swap)):
        async with Parlour(ground, f"folder-{name}", models) as parlour, parlour.clients(2):
            await take_away(parlour)
            waits[name] = await _new_one_live(parlour)
            close(outcome, parlour)
    async with Parlour(ground, "folder-unheard", models, INFERENCE_WATCH="off") as parlour, parlour.clients(2):
        waits["watch off"] = await _new_one_live(parlour)
        close(outcome, parlour)
    for name, wait in waits.items():
        outcome.mark(f"{name}: live after s", wait, at_most=POLL_S + 1)
    return outcome


async def _new_one_live(parlour: Parlour) -> float | None:
    """Publishes the next version and tells after how long it answers."""
    parlour.publish(3)
    return _since(parlour, await parlour.serves(3))


async def _delete(parlour: Parlour) -> None:
    await asyncio.to_thread(shutil.rmtree, parlour.folder.models_dir)
    await asyncio.sleep(POLL_S + 0.5)
    parlour.folder.models_dir.mkdir()
    await asyncio.to_thread(_again, parlour)


def _again(parlour: Parlour) -> None:
    """Fills a folder that was made anew, with generations that go on."""
    parlour.folder.write(parlour.models.of(1), 1)
    for _ in range(3):
        parlour.folder.point(MODEL, 1)


async def _swap(parlour: Parlour) -> None:
    """Puts a copy in the folder's place, as a deployment or a restored backup does."""
    models_dir = parlour.folder.models_dir
    copy, old = models_dir.with_name("copy"), models_dir.with_name("old")
    await asyncio.to_thread(shutil.copytree, models_dir, copy, symlinks=True)
    models_dir.rename(old)
    copy.rename(models_dir)
    await asyncio.sleep(POLL_S + 0.5)


async def unmounted(ground: Ground) -> Outcome:
    """The model folder is a volume that is taken away under load; what is published meanwhile goes live later."""
    outcome = Outcome(row="model folder unmounted, mounted again")
    parlour = Parlour(ground, "unmounted", Models(trees=3))
    volume, models_dir = parlour.run / "volume", parlour.folder.models_dir
    volume.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(unmount, volume)
        stack.callback(unmount, models_dir)
        outcome.not_run = mount_memory(volume, "16m") or mount_folder(volume, models_dir)
        if outcome.not_run:
            return outcome
        await stack.enter_async_context(parlour)
        waits = []
        async with parlour.clients(2):
            for version in (2, 3, 4):
                unmount(models_dir)
                await asyncio.sleep(POLL_S + 0.5)
                elsewhere = Folder(volume)
                elsewhere.write(parlour.models.of(version), version)
                elsewhere.point(MODEL, version)
                parlour.history.note(Released(model=MODEL, version=version, at=time.time()))
                at = time.time()
                mount_folder(volume, models_dir)
                back = await parlour.serves(version)
                waits.append(None if back is None else back - at)
        close(outcome, parlour)
        outcome.figures["times taken away"] = len(waits)
        spread(outcome, "live after s", waits, at_most=POLL_S + 1)
    return outcome


async def restarts(ground: Ground, *, each: int) -> Outcome:
    """The server is killed while its newest version is broken: the last good one answers soon after."""
    outcome = Outcome(row="restart with a broken newest version")
    waits = []
    async with Parlour(ground, "restart", Models(trees=3)) as parlour:
        parlour.publish(2)
        await parlour.serves(2)
        damages = DAMAGES[::each]
        for number, damage in enumerate(damages):
            version = 3 + number
            await asyncio.to_thread(_break, parlour, version, damage, number)
            await _refused(parlour, version, seconds=3)
            at = time.time()
            parlour.process.send_signal(signal.SIGKILL)
            back = await parlour.serves(2)
            parlour.history.note(Fault(name="kill", target=damage.name, at=at, over_at=time.time()))
            waits.append(None if back is None else back - at)
            shutil.rmtree(layout.version_dir(parlour.folder.models_dir, MODEL, version), ignore_errors=True)
        close(outcome, parlour, deaths=len(damages))
        outcome.figures["kinds"] = len(damages)
        spread(outcome, "serves again s", waits, at_most=5)
    return outcome
