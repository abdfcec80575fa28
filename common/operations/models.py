"""Models: what answers, since when, who decided; and deciding otherwise.

Each change is a row of `rookery.live_models` and one of the append-only history, in the caller's transaction. Call
`common.bundles.live.go_live` after its commit: the folder then says the same, within a moment.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from common.bundles.live import LiveRow, choose_live, live_row, record_decision
from common.database.reading import read_all, read_first
from common.database.tables import live_models
from common.errors import ConflictError, NotFoundError


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version, as people look at it. `role`: live, previous, candidate, or the state it is in."""

    model: str
    version: int
    dataset: str
    family: str
    state: str
    role: str
    run: UUID | None
    snapshot: int | None
    digest: str | None
    metrics: dict[str, float]
    best_params: dict[str, Any]
    rows_train: int | None
    rows_test: int | None
    seconds: float | None
    reason: str | None
    created_at: datetime
    published_at: datetime | None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model: which version is live, since when, by whose decision. `live` is None before the first went live."""

    name: str
    dataset: str
    family: str
    live: int | None
    previous: int | None
    candidate: int | None
    shadow_share: float
    pinned: bool
    trail: list[int]
    live_since: datetime | None
    decided_by: str | None
    decision: str | None
    reason: str | None
    newest: int
    held: list[int]
    metrics: dict[str, float]
    written: bool


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the history; `until` is when the next version went live, for those by which one did."""

    id: UUID
    model: str
    version: int
    action: str
    actor: str
    reason: str
    run: UUID | None
    at: datetime
    until: datetime | None


# `held`: versions newer than the live one that the gate held back and that nobody has decided about.
_MODELS = (
    "SELECT v.model AS name, v.dataset, v.family, v.newest, l.live, l.previous, l.candidate,"
    " coalesce(l.shadow_share, 0) AS shadow_share, coalesce(l.pinned, false) AS pinned,"
    " coalesce(l.trail, '[]'::jsonb) AS trail,"
    " d.at AS live_since, d.actor AS decided_by, d.action AS decision, d.reason,"
    " coalesce(m.metrics, '{}'::jsonb) AS metrics,"
    " coalesce(l.written_generation >= l.generation, true) AS written,"
    " coalesce((SELECT jsonb_agg(h.version ORDER BY h.version DESC) FROM rookery.model_versions h"
    "  WHERE h.model = v.model AND h.state = 'held' AND h.version > coalesce(l.live, 0)"
    "  AND NOT EXISTS (SELECT 1 FROM rookery.decisions k WHERE k.model = h.model AND k.version = h.version"
    "   AND k.action = 'keep')), '[]'::jsonb) AS held"
    " FROM (SELECT model, max(dataset) AS dataset, max(family) AS family, max(version) AS newest"
    "  FROM rookery.model_versions WHERE state <> 'reserved' GROUP BY model) v"
    " LEFT JOIN rookery.live_models l ON l.model = v.model"
    " LEFT JOIN rookery.model_versions m ON m.model = v.model AND m.version = l.live"
    " LEFT JOIN LATERAL (SELECT * FROM rookery.decisions d WHERE d.model = v.model AND d.version = l.live"
    "  AND d.action IN ('publish', 'promote', 'rollback') ORDER BY d.at DESC LIMIT 1) d ON true"
)

_VERSIONS = (
    "SELECT v.model, v.version, v.dataset, v.family, v.state, v.run_id AS run, v.snapshot, v.digest,"
    " coalesce(v.metrics, '{}'::jsonb) AS metrics, coalesce(v.best_params, '{}'::jsonb) AS best_params,"
    " v.rows_train, v.rows_test, v.seconds, v.reason, v.created_at, v.published_at,"
    " CASE v.version WHEN l.live THEN 'live' WHEN l.candidate THEN 'candidate' WHEN l.previous THEN 'previous'"
    "  ELSE v.state END AS role"
    " FROM rookery.model_versions v LEFT JOIN rookery.live_models l ON l.model = v.model"
)


async def list_models(connection: AsyncConnection, *, dataset: str | None = None) -> list[Model]:
    """All models that have a version, those of a data set together."""
    return await read_all(
        connection,
        Model,
        f"{_MODELS} WHERE CAST(:dataset AS text) IS NULL OR v.dataset = :dataset ORDER BY v.dataset, v.model",
        {"dataset": dataset},
    )


async def get_model(connection: AsyncConnection, name: str) -> Model:
    """One model. Raises NotFoundError, which lists the known ones."""
    found = await read_first(connection, Model, f"{_MODELS} WHERE v.model = :name", {"name": name})
    if found is None:
        known = await connection.execute(text("SELECT DISTINCT model FROM rookery.model_versions ORDER BY model"))
        names = ", ".join(known.scalars())
        raise NotFoundError(f"there is no model {name}; known are {names}" if names else "there is no model yet")
    return found


async def list_versions(
    connection: AsyncConnection, name: str, *, before: int | None = None, limit: int = 50
) -> list[ModelVersion]:
    """Versions of a model, the newest first. What is still being trained is not among them."""
    return await read_all(
        connection,
        ModelVersion,
        f"{_VERSIONS} WHERE v.model = :name AND v.state <> 'reserved'"
        " AND (CAST(:before AS integer) IS NULL OR v.version < :before) ORDER BY v.version DESC LIMIT :limit",
        {"name": name, "before": before, "limit": limit},
    )


async def get_version(connection: AsyncConnection, name: str, version: int) -> ModelVersion:
    """One version. Raises NotFoundError."""
    found = await read_first(
        connection,
        ModelVersion,
        f"{_VERSIONS} WHERE v.model = :name AND v.version = :version",
        {"name": name, "version": version},
    )
    if found is None:
        await get_model(connection, name)
        raise NotFoundError(f"{name} has no version {version}")
    return found


async def history(
    connection: AsyncConnection, *, model: str | None = None, before: datetime | None = None, limit: int = 50
) -> list[Decision]:
    """Who decided what and why, the newest first."""
    return await read_all(
        connection,
        Decision,
        "SELECT d.id, d.model, d.version, d.action, d.actor, d.reason, d.run_id AS run, d.at,"
        " CASE WHEN d.action IN ('publish', 'promote', 'rollback') THEN (SELECT min(n.at) FROM rookery.decisions n"
        "  WHERE n.model = d.model AND n.at > d.at AND n.action IN ('publish', 'promote', 'rollback')) END AS until"
        " FROM rookery.decisions d WHERE (CAST(:model AS text) IS NULL OR d.model = :model)"
        " AND (CAST(:before AS timestamptz) IS NULL OR d.at < :before) ORDER BY d.at DESC, d.id DESC LIMIT :limit",
        {"model": model, "before": before, "limit": limit},
    )


async def promote(
    connection: AsyncConnection, name: str, version: int, *, by: str, reason: str, pin_it: bool = False
) -> Model:
    """Makes a version live, whatever the gate said of it; with `pin_it`, later ones wait.

    Raises NotFoundError, or ConflictError where it is live already or is none that could answer.
    """
    await _servable(connection, name, version)
    row = await live_row(connection, name, lock=True)
    if row is not None and row.live == version:
        raise ConflictError(f"{name} {version} is live already")
    chosen = await get_version(connection, name, version)
    await choose_live(
        connection, model=name, dataset=chosen.dataset, version=version, action="promote", actor=by, reason=reason
    )
    await connection.execute(
        text("UPDATE rookery.model_versions SET state = 'published' WHERE model = :name AND version = :version"),
        {"name": name, "version": version},
    )
    if pin_it and not (row is not None and row.pinned):
        await pin(connection, name, by=by, reason=reason)
    return await get_model(connection, name)


async def rollback(
    connection: AsyncConnection, name: str, *, by: str, reason: str, version: int | None = None
) -> Model:
    """Goes back to the version that was live before, or to an earlier one that was live.

    What is left behind is not fallen back to any more: a second rollback goes further back, not forward. Going forward
    again is a promotion. Raises NotFoundError or ConflictError.
    """
    row = await _live(connection, name)
    target = row.previous if version is None else version
    if target is None:
        raise ConflictError(f"no version of {name} was live before {row.live}")
    if target == row.live:
        raise ConflictError(f"{name} {target} is live already")
    if target not in {row.previous, *row.trail}:
        raise ConflictError(f"{name} {target} was never live, or too long ago; promote it instead")
    await _servable(connection, name, target)
    older = [number for number in row.trail if number != row.live]
    trail = older[older.index(target) :] if target in older else [target, *older]
    await _change(
        connection,
        row,
        live=target,
        trail=trail,
        previous=trail[1] if len(trail) > 1 else None,
        candidate=None if row.candidate == target else row.candidate,
        shadow_share=0.0 if row.candidate == target else row.shadow_share,
        decided_at=func.clock_timestamp(),
    )
    await record_decision(connection, model=name, version=target, action="rollback", actor=by, reason=reason)
    return await get_model(connection, name)


async def pin(connection: AsyncConnection, name: str, *, by: str, reason: str) -> Model:
    """Keeps the live version: later ones are published and wait. Raises NotFoundError or ConflictError."""
    row = await _live(connection, name)
    if row.pinned:
        raise ConflictError(f"{name} is pinned to {row.live} already")
    await _set_pin(connection, row, pinned=True, by=by, reason=reason)
    return await get_model(connection, name)


async def unpin(connection: AsyncConnection, name: str, *, by: str, reason: str) -> Model:
    """Lets the next version that passes the gate go live. Raises NotFoundError or ConflictError."""
    row = await _live(connection, name)
    if not row.pinned:
        raise ConflictError(f"{name} is not pinned")
    await _set_pin(connection, row, pinned=False, by=by, reason=reason)
    return await get_model(connection, name)


async def shadow(
    connection: AsyncConnection, name: str, version: int | None, *, share: float, by: str, reason: str
) -> Model:
    """Lets a version answer a share of the live requests unseen; None ends that.

    Raises NotFoundError, or ConflictError where the version is live or could not answer.
    """
    row = await _live(connection, name)
    if version is None and row.candidate is None:
        raise ConflictError(f"no version of {name} runs as a shadow")
    if version is not None:
        await _servable(connection, name, version)
        if version == row.live:
            raise ConflictError(f"{name} {version} is live; a shadow runs beside the live version")
        if not 0 < share <= 1:
            raise ConflictError(f"the share is {share:g}; it must be above 0 and at most 1")
    await _change(connection, row, candidate=version, shadow_share=share if version is not None else 0.0)
    told = version if version is not None else row.candidate or row.live
    what = f"{share:.0%} of requests" if version is not None else "ended"
    await record_decision(
        connection, model=name, version=told, action="shadow", actor=by, reason=f"{what}: {reason}" if reason else what
    )
    return await get_model(connection, name)


async def keep(connection: AsyncConnection, name: str, version: int, *, by: str, reason: str) -> Model:
    """Leaves a held version held: it needs nobody's decision any more. Raises NotFoundError or ConflictError."""
    chosen = await get_version(connection, name, version)
    if chosen.state != "held":
        raise ConflictError(f"{name} {version} is not held, it is {chosen.role}")
    await record_decision(connection, model=name, version=version, action="keep", actor=by, reason=reason)
    return await get_model(connection, name)


async def _live(connection: AsyncConnection, name: str) -> LiveRow:
    """The locked row of a model that has a live version. Raises NotFoundError or ConflictError."""
    row = await live_row(connection, name, lock=True)
    if row is None:
        await get_model(connection, name)
        raise ConflictError(f"no version of {name} is live yet")
    return row


async def _servable(connection: AsyncConnection, name: str, version: int) -> None:
    """Raises NotFoundError or ConflictError for a version that could not answer."""
    chosen = await get_version(connection, name, version)
    if chosen.state in {"published", "held"}:
        return
    why = {
        "reserved": "is still being trained",
        "failed": f"was not trained: {chosen.reason or 'its training failed'}",
        "dropped": "was dropped from the model folder",
    }.get(chosen.state, f"is {chosen.state}")
    raise ConflictError(f"{name} {version} {why}; it cannot answer")


async def _change(connection: AsyncConnection, row: LiveRow, **values: Any) -> None:
    """Changes what aliases.json is to say; the generation tells readers that it did."""
    await connection.execute(
        update(live_models).where(live_models.c.model == row.model).values(generation=row.generation + 1, **values)
    )


async def _set_pin(connection: AsyncConnection, row: LiveRow, *, pinned: bool, by: str, reason: str) -> None:
    await connection.execute(update(live_models).where(live_models.c.model == row.model).values(pinned=pinned))
    action = "pin" if pinned else "unpin"
    await record_decision(connection, model=row.model, version=row.live, action=action, actor=by, reason=reason)
