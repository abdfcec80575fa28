"""A disk that is full while a version is written."""

import asyncio
import contextlib
import os
from pathlib import Path

from common.bundles import layout
from common.bundles.reader import read_manifest, verify_files
from tests.bundles import KEY
from tests.faults.ground import Ground
from tests.faults.history import Served
from tests.faults.mounts import mount_memory, unmount
from tests.faults.outcome import Outcome
from tests.faults.parlour import MODEL, Models, Parlour
from tests.faults.rows.serving import close

SIZE = "2m"


async def full(ground: Ground) -> Outcome:
    """The model folder's disk fills up: no half version shows, the old one serves, and it goes on with new space."""
    outcome = Outcome(row="disk full")
    models = Models(trees=100)
    parlour = Parlour(ground, "disk", models)
    async with contextlib.AsyncExitStack() as stack:
        mounted = await asyncio.to_thread(mount_memory, parlour.folder.models_dir, SIZE)
        if mounted:
            outcome.not_run = mounted
            return outcome
        stack.callback(unmount, parlour.folder.models_dir)
        await stack.enter_async_context(parlour)
        await stack.enter_async_context(parlour.clients(2))
        failures, version = 0, 1
        filler = parlour.folder.models_dir / "filler"
        for step in range(1, 20):
            free = os.statvfs(parlour.folder.models_dir)
            # Less and less space, so that each file of a version is the one for which it does not suffice.
            await asyncio.to_thread(_fill, filler, free.f_bavail * free.f_frsize - step * 8_192)
            version += 1
            try:
                await asyncio.to_thread(parlour.publish, version)
            except OSError:
                failures += 1
            filler.unlink()
        partial = await asyncio.to_thread(_partial, parlour)
        outcome.at_least("writes that failed", failures, least=5)
        outcome.exactly("partial versions", len(partial), expected=0)
        parlour.publish(100)
        back = await parlour.serves(100)
        outcome.mark("live again s", None if back is None else back - parlour.pointed[100], at_most=3)
        close(outcome, parlour)
        outcome.figures["answers"] = len(parlour.history.of(Served))
    return outcome


def _fill(path: Path, size: int) -> None:
    path.write_bytes(b"\0" * max(0, size))


def _partial(parlour: Parlour) -> list[str]:
    """The folders with a version's number in which not everything is as the manifest says."""
    found = []
    models_dir = parlour.folder.models_dir
    for folder in layout.model_dir(models_dir, MODEL).iterdir():
        number = layout.version_number(folder.name)
        if number is None:
            continue
        try:
            manifest = read_manifest(models_dir, MODEL, number, (KEY,))
            verify_files(models_dir, manifest, list(manifest.files))
        except Exception as error:  # noqa: BLE001 - whatever it is, the version is not whole
            found.append(f"{number}: {error}")
    return found
