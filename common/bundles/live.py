"""Which version is live: decided by a row in Postgres, followed by the folder.

`choose_live` is the decision, inside the caller's transaction. `go_live` makes the folder say what the row says; files
cannot join a transaction, so it may be repeated at any time and `sweep_live` does so. Inference imports none of this.
"""

import asyncio
import zlib
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from uuid_utils.compat import uuid7

from common.bundles import writer
from common.bundles.manifest import FORMAT, Aliases
from common.bundles.reader import read_aliases, read_manifest, verify_files
from common.database.tables import decisions, live_models
from common.errors import BundleError, RetryableError
from common.logs import get_logger
from common.settings import Settings

log = get_logger(__name__)

# Versions that were live, kept in the row and in aliases.json: what inference may fall back to.
TRAIL_LENGTH = 10

# What a restore does to the rows: inference takes no generation below the one that it serves, and a backup is older.
# Nobody knows that one where folder and database are gone, but generations count decisions, and the milliseconds
# since 1970 are more than those ever were: than those of any restore before and what was decided since, too.
RAISE_GENERATIONS = (
    "UPDATE rookery.live_models "
    "SET generation = greatest(generation + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)"
)


class LiveChangedError(RetryableError):
    """Another version went live in between."""


class LiveRow(msgspec.Struct, frozen=True, kw_only=True):
    """What `rookery.live_models` says of one model."""

    model: str
    dataset: str
    generation: int
    live: int
    previous: int | None = None
    candidate: int | None = None
    shadow_share: float = 0.0
    pinned: bool = False
    trail: tuple[int, ...] = ()


async def live_row(connection: AsyncConnection, model: str, *, lock: bool = False) -> LiveRow | None:
    """The row of a model, locked until the transaction ends where asked; None where no version was ever live."""
    statement = select(live_models).where(live_models.c.model == model)
    row = (await connection.execute(statement.with_for_update() if lock else statement)).mappings().first()
    if row is None:
        return None
    known = {field: row[field] for field in LiveRow.__struct_fields__}
    return msgspec.convert(known | {"trail": tuple(row["trail"])}, LiveRow)


async def choose_live(
    connection: AsyncConnection,
    *,
    model: str,
    dataset: str,
    version: int,
    action: str,
    actor: str,
    reason: str,
    run_id: UUID | None = None,
) -> None:
    """Makes a version the live one and records who decided it and why. The caller calls `go_live` after its commit.

    Raises LiveChangedError where another transaction made the model's first version live meanwhile.
    """
    row = await live_row(connection, model, lock=True)
    if row is None:
        first = (
            upsert(live_models)
            .values(model=model, dataset=dataset, generation=1, live=version, trail=[version])
            .on_conflict_do_nothing()
            .returning(live_models.c.model)
        )
        if (await connection.execute(first)).first() is None:
            raise LiveChangedError
    else:
        trail = [version, *(other for other in (row.live, *row.trail) if other != version)]
        await connection.execute(
            update(live_models)
            .where(live_models.c.model == model)
            .values(
                generation=row.generation + 1,
                live=version,
                previous=row.live if row.live != version else row.previous,
                candidate=None if row.candidate == version else row.candidate,
                shadow_share=0.0 if row.candidate == version else row.shadow_share,
                trail=list(dict.fromkeys(trail))[:TRAIL_LENGTH],
                decided_at=func.clock_timestamp(),
            )
        )
    await record_decision(
        connection, model=model, version=version, action=action, actor=actor, reason=reason, run_id=run_id
    )


async def record_decision(
    connection: AsyncConnection,
    *,
    model: str,
    version: int,
    action: str,
    actor: str,
    reason: str,
    run_id: UUID | None = None,
) -> None:
    """Adds to the history: publish, hold, promote, rollback, pin, unpin, shadow."""
    await connection.execute(
        insert(decisions).values(
            id=uuid7(), model=model, version=version, action=action, actor=actor, reason=reason, run_id=run_id
        )
    )


async def go_live(engine: AsyncEngine, settings: Settings, model: str) -> bool:
    """Makes `aliases.json` and the symlink say what the row says; tells whether anything had to be written.

    One at a time per model, by an advisory lock: two that wrote the same generation with different content would
    leave some servers on one and some on the other.
    """
    async with engine.begin() as connection:
        await connection.execute(select(func.pg_advisory_xact_lock(_lock_key(model))))
        row = await live_row(connection, model, lock=True)
        if row is None:
            return False
        wrote, generation = await asyncio.to_thread(_write, settings.models_dir, row, settings.signing_keys)
        await connection.execute(
            update(live_models)
            .where(live_models.c.model == model)
            .values(generation=generation, written_generation=generation)
        )
    if wrote:
        log.info("live", model=model, version=row.live, generation=generation)
    return wrote


async def sweep_live(engine: AsyncEngine, settings: Settings) -> list[str]:
    """Repeats `go_live` for every model whose folder does not say what its row says; returns their names."""
    async with engine.connect() as connection:
        models = list((await connection.execute(select(live_models.c.model))).scalars())
        rows = [row for model in models if (row := await live_row(connection, model)) is not None]
    behind = await asyncio.to_thread(
        lambda: [row.model for row in rows if not _is_written(settings.models_dir, row, settings.signing_keys)]
    )
    return [model for model in behind if await go_live(engine, settings, model)]


def live_damage(models_dir: Path, model: str, keys: Sequence[bytes]) -> str | None:
    """Why a model's live version cannot be served (missing, damaged, another key); None where it verifies."""
    try:
        aliases = read_aliases(models_dir, model, keys)
        verify_files(models_dir, read_manifest(models_dir, model, aliases.live, keys))
    except BundleError as error:
        return error.message
    return None


def _write(models_dir: Path, row: LiveRow, keys: Sequence[bytes]) -> tuple[bool, int]:
    """Writes what differs; returns whether anything did, and the generation that the folder now has."""
    if _is_written(models_dir, row, keys):
        return False, row.generation
    # The database may be newer than the folder. Its readers take no lower generation, so ours goes above theirs.
    generation = max(row.generation, _generation_in(models_dir, row.model, keys) + 1)
    writer.write_aliases(models_dir, _aliases(row, generation), keys[0])
    writer.link_live(models_dir, row.model, row.live)
    return True, generation


def _is_written(models_dir: Path, row: LiveRow, keys: Sequence[bytes]) -> bool:
    try:
        written = read_aliases(models_dir, row.model, keys[:1])
    except BundleError:
        return False
    wanted = _aliases(row, row.generation)
    same = msgspec.structs.replace(written, key_id="", hmac="") == wanted
    return same and writer.is_linked(models_dir, row.model, row.live)


def _generation_in(models_dir: Path, model: str, keys: Sequence[bytes]) -> int:
    try:
        return read_aliases(models_dir, model, keys).generation
    except BundleError:
        return 0


def _aliases(row: LiveRow, generation: int) -> Aliases:
    return Aliases(
        format=FORMAT,
        model=row.model,
        generation=generation,
        live=row.live,
        previous=row.previous,
        candidate=row.candidate,
        shadow_share=row.shadow_share,
        trail=row.trail,
    )


def _lock_key(model: str) -> int:
    """The advisory lock of a model's pointers: 64 bits, the upper half ours."""
    return 0x524F4F4B << 32 | zlib.crc32(model.encode())
