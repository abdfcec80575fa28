"""Which versions are kept, and the removal of the others and of what crashed writes left behind."""

import asyncio
import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.bundles import layout
from common.bundles.live import LiveRow, live_row
from common.bundles.reader import MissingBundleError, list_models, list_versions
from common.database.tables import model_versions
from common.logs import get_logger
from common.settings import Settings

log = get_logger(__name__)

# A write that takes longer than this was given up: its process is gone.
LEFTOVER_AGE_S = 900.0


class Known(msgspec.Struct, frozen=True):
    """A version that the table knows of."""

    version: int
    state: str


async def sweep_versions(engine: AsyncEngine, settings: Settings) -> list[str]:
    """Removes versions beyond the number kept, and leftovers; returns the removed versions as `model@version`.

    A version is marked as dropped first, in a commit of its own: nobody can choose it from then on, and a crash
    before its folder is gone is made up for by the next sweep.
    """
    async with engine.begin() as connection:
        await _close_reservations(connection)
        models = list((await connection.execute(select(model_versions.c.model).distinct())).scalars())
    for model in models:
        async with engine.begin() as connection:
            await _mark_dropped(connection, model, settings.model_versions_kept)
    async with engine.connect() as connection:
        found = await connection.execute(
            select(model_versions.c.model, model_versions.c.version).where(model_versions.c.state == "dropped")
        )
        dropped = {(str(model), int(version)) for model, version in found}
    return await asyncio.to_thread(remove_folders, settings.models_dir, dropped, now=time.time())


def superfluous(known: Sequence[Known], row: LiveRow | None, kept: int) -> list[int]:
    """The versions that may go: all but the newest `kept`, those the pointers or the trail name, and newer held ones.

    What was held after the live version went live is somebody's decision still to make.
    """
    versions = sorted(
        (entry.version for entry in known if entry.state in {"published", "held", "failed"}), reverse=True
    )
    needed = set(versions[:kept])
    if row is not None:
        needed |= {row.live, row.previous or 0, row.candidate or 0, *row.trail}
        held = [entry.version for entry in known if entry.state == "held" and entry.version > row.live]
        needed |= set(sorted(held, reverse=True)[:kept])
    return sorted(set(versions) - needed)


def remove_folders(models_dir: Path, dropped: set[tuple[str, int]], *, now: float) -> list[str]:
    """Removes the folders of dropped versions, and temporary names older than a quarter of an hour."""
    removed = []
    try:
        models = list_models(models_dir)
    except MissingBundleError:
        return []
    for model in models:
        for version in list_versions(models_dir, model):
            folder = layout.version_dir(models_dir, model, version)
            if (model, version) in dropped:
                # Out of sight in one step: no reader meets half of a version.
                aside = folder.with_name(f"{layout.TEMPORARY}{uuid.uuid4().hex}")
                folder.rename(aside)
                shutil.rmtree(aside, ignore_errors=True)
                removed.append(f"{model}@{version}")
            else:
                _remove_leftovers(folder, now)
        _remove_leftovers(layout.model_dir(models_dir, model), now)
    _remove_leftovers(models_dir, now)
    if removed:
        log.info("versions removed", versions=removed)
    return removed


def _remove_leftovers(folder: Path, now: float) -> None:
    for path in folder.glob(f"{layout.TEMPORARY}*"):
        try:
            age_s = now - path.lstat().st_mtime
            if age_s < LEFTOVER_AGE_S:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:  # its writer has finished meanwhile
            continue
        log.info("leftover removed", path=path.name, age_s=round(age_s))


async def _mark_dropped(connection: AsyncConnection, model: str, kept: int) -> None:
    """Marks what may go; the lock on the model's row keeps it from being chosen meanwhile."""
    row = await live_row(connection, model, lock=True)
    rows = await connection.execute(
        select(model_versions.c.version, model_versions.c.state).where(model_versions.c.model == model)
    )
    going = superfluous([Known(version, state) for version, state in rows], row, kept)
    if going:
        await connection.execute(
            update(model_versions)
            .where(model_versions.c.model == model, model_versions.c.version.in_(going))
            .values(state="dropped")
        )


async def _close_reservations(connection: AsyncConnection) -> None:
    """Reserved versions whose event will make none any more (dead, superseded, pruned) have failed."""
    await connection.execute(
        text(
            "UPDATE rookery.model_versions v SET state = 'failed' WHERE state = 'reserved' AND NOT EXISTS"
            " (SELECT 1 FROM rookery.events e WHERE e.id = v.event_id AND e.handled_at IS NULL AND e.dead_at IS NULL)"
        )
    )
