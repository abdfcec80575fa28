"""Version numbers: reserved in Postgres for a training event before anything is written, and adopted by its retries."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.bundles.manifest import Manifest
from common.bundles.reader import MissingBundleError, list_versions, read_manifest
from common.database.tables import model_versions
from common.errors import BundleError, RetryableError
from common.events.model import Event

# A folder newer than what the table knows of is looked at for the event's own version, so many numbers back.
_LOOK_BACK = 5


class VersionTakenError(RetryableError):
    """The reserved version's folder was written by somebody else; another number is reserved at the next attempt."""


async def reserve_version(
    engine: AsyncEngine,
    models_dir: Path,
    keys: Sequence[bytes],
    event: Event,
    *,
    model: str,
    family: str,
    snapshot: int,
    once_per_run: bool = False,
) -> int | None:
    """The version that an event trains, in a commit of its own; a retry gets the same.

    A new number is above the highest in the folder and in the table: the database may be new and the folder old. A
    version in the folder whose manifest names the event is adopted. With `once_per_run`, None where another event of
    the run has reserved one: of several that could finish a family, one does.
    """
    own = select(model_versions.c.version).where(model_versions.c.event_id == event.id)
    async with engine.begin() as connection:
        await connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtext('rookery version'), hashtext(:model))"), {"model": model}
        )
        version = await connection.scalar(own)
        in_folder = await asyncio.to_thread(_versions, models_dir, model)
        if version is not None and (version not in in_folder or await _is_own(models_dir, model, version, keys, event)):
            return int(version)
        if version is None and once_per_run and await _is_reserved(connection, model, event.correlationid):
            return None
        await connection.execute(delete(model_versions).where(model_versions.c.event_id == event.id))
        recent = in_folder[-_LOOK_BACK:]
        adopted = [number for number in recent if await _is_own(models_dir, model, number, keys, event)]
        highest = await connection.scalar(
            select(func.max(model_versions.c.version)).where(model_versions.c.model == model)
        )
        number = adopted[0] if adopted else max([highest or 0, *in_folder]) + 1
        await connection.execute(
            insert(model_versions).values(
                model=model,
                version=number,
                dataset=event.dataset,
                family=family,
                state="reserved",
                event_id=event.id,
                run_id=event.correlationid,
                snapshot=snapshot,
            )
        )
        return number


def own_manifest(models_dir: Path, model: str, version: int, keys: Sequence[bytes], event_id: UUID) -> Manifest | None:
    """The manifest of a version that an earlier attempt of the event has written; None where there is none yet.

    Raises VersionTakenError where the folder is somebody else's, or damaged.
    """
    try:
        manifest = read_manifest(models_dir, model, version, keys)
    except MissingBundleError:
        if version in _versions(models_dir, model):
            raise VersionTakenError(f"{model}@{version} has no manifest") from None
        return None
    except BundleError as error:
        raise VersionTakenError(f"{model}@{version} is not ours: {error.message}") from error
    if manifest.event_id != str(event_id):
        raise VersionTakenError(f"{model}@{version} belongs to event {manifest.event_id}")
    return manifest


async def _is_reserved(connection: AsyncConnection, model: str, run_id: UUID) -> bool:
    found = select(model_versions.c.version).where(model_versions.c.model == model, model_versions.c.run_id == run_id)
    return (await connection.scalar(found)) is not None


async def _is_own(models_dir: Path, model: str, version: int, keys: Sequence[bytes], event: Event) -> bool:
    try:
        return await asyncio.to_thread(own_manifest, models_dir, model, version, keys, event.id) is not None
    except VersionTakenError:
        return False


def _versions(models_dir: Path, model: str) -> list[int]:
    try:
        return list(list_versions(models_dir, model))
    except MissingBundleError:
        return []
