"""Whether all that an unchanged snapshot should have led to is there: a version per family, live ones that verify.

So a deleted model folder, a new signing key or a run that failed leads to a training though the data did not change.
"""

import asyncio
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.bundles.live import live_damage
from common.database.tables import live_models, model_versions
from common.datasets import DatasetSpec, model_name
from common.events.retry import wait_after_failures_s
from common.settings import Settings
from common.snapshots import Snapshot

# After a failed run the next try waits two intervals, then four, eight, ... at the most this long.
LONGEST_WAIT_S = 3600.0


async def what_is_missing(engine: AsyncEngine, settings: Settings, spec: DatasetSpec, snapshot: Snapshot) -> str | None:
    """What is missing, as a reason to train again; None where nothing is, or where it is too early to try again."""
    models = [model_name(spec, family) for family in spec.families]
    async with engine.connect() as connection:
        if await _is_too_early(connection, spec):
            return None
        trained = await _trained(connection, snapshot)
        on_their_way = await _on_their_way(connection, snapshot)
    untrained = [model for model in models if model not in trained]
    if untrained:
        return f"snapshot {snapshot.number} has no version of {', '.join(untrained)}"
    for model in models:
        if model in on_their_way:
            continue
        damage = await asyncio.to_thread(live_damage, settings.models_dir, model, settings.signing_keys)
        if damage:
            return f"{model}: {damage}"
    return None


async def _trained(connection: AsyncConnection, snapshot: Snapshot) -> set[str]:
    """The models that have a finished version of this snapshot."""
    found = select(model_versions.c.model).where(
        model_versions.c.dataset == snapshot.dataset,
        model_versions.c.snapshot == snapshot.number,
        model_versions.c.state.in_(("published", "held", "dropped")),
    )
    return set((await connection.execute(found)).scalars())


async def _on_their_way(connection: AsyncConnection, snapshot: Snapshot) -> set[str]:
    """The models whose folder does not say yet what was decided a moment ago: no damage, it is being written."""
    found = select(live_models.c.model).where(
        live_models.c.dataset == snapshot.dataset, live_models.c.written_generation < live_models.c.generation
    )
    return set((await connection.execute(found)).scalars())


async def _is_too_early(connection: AsyncConnection, spec: DatasetSpec) -> bool:
    """Whether the last runs that trained failed, so lately that the next try has to wait."""
    rows = await connection.execute(
        text(
            "SELECT state, ended_at, clock_timestamp() AS now FROM rookery.runs WHERE dataset = :dataset"
            " AND state IN ('completed', 'failed') AND outcome NOT IN ('unchanged', 'rejected')"
            " ORDER BY started_at DESC LIMIT 32"
        ),
        {"dataset": spec.name},
    )
    failures, last, now = 0, None, None
    for row in rows:
        if row.state != "failed":
            break
        failures, last, now = failures + 1, last or row.ended_at, row.now
    return _seconds(last, now) < wait_after_failures_s(failures, spec.interval_s, longest_s=LONGEST_WAIT_S)


def _seconds(earlier: datetime | None, later: datetime | None) -> float:
    return (later - earlier).total_seconds() if earlier and later else float("inf")
