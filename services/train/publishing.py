"""From a fitted model to a published or held version: written, compared with the live one, decided, announced."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.bundles import live
from common.bundles.layout import BUNDLE, ROWS
from common.bundles.libraries import installed_libraries
from common.bundles.live import LiveRow
from common.bundles.manifest import Manifest, incompatibility
from common.bundles.reader import predictor_files, read_manifest, verify_files
from common.bundles.writer import write_version
from common.database.tables import model_versions
from common.errors import BundleError
from common.events.model import Event, ModelHeld, ModelPublished, ModelTrained
from common.logs import get_logger
from common.predictors.loading import PICKLE, load_predictor
from common.settings import Settings
from services.train.bundling import Job, Product, seen_rows
from services.train.evaluation import answer, score
from services.train.gate import Comparison, Verdict, comparable_rows, judge
from services.train.versions import VersionTakenError, own_manifest

log = get_logger(__name__)


class Unit(Protocol):
    """What publishing needs of `common.events.unit.UnitOfWork`."""

    engine: AsyncEngine
    settings: Settings

    async def connection(self) -> AsyncConnection:
        """The connection of the fenced transaction."""
        ...

    def after_commit(self, callback: Any) -> None:
        """Has something done after the commit."""
        ...


async def write(product: Product, settings: Settings) -> Manifest:
    """Writes a version; one that an earlier attempt of the same event wrote is taken as it is."""
    manifest, keys = product.manifest, settings.signing_keys
    try:
        return await asyncio.to_thread(write_version, settings.models_dir, manifest, product.files, keys[0])
    except BundleError as error:
        found = await asyncio.to_thread(find_own, settings, manifest.model, manifest.version, manifest.event_id)
        if found is None:
            raise VersionTakenError(error.message) from error
        return found


def find_own(settings: Settings, model: str, version: int, event_id: Any) -> Manifest | None:
    """The manifest that an earlier attempt of the event wrote, None where there is none. Raises VersionTakenError."""
    return own_manifest(settings.models_dir, model, version, settings.signing_keys, event_id)


async def publish(job: Job, manifest: Manifest, unit: Unit) -> Sequence[Event]:
    """Judges a written version, decides in the fenced transaction whether it is live, and returns what to tell.

    Raises LiveChangedError where another version went live while this one was judged: the retry judges again.
    """
    async with unit.engine.connect() as connection:
        before = await live.live_row(connection, job.model)
    comparison = await asyncio.to_thread(compare, job, manifest, before, unit.settings)
    verdict = judge(job.spec.gate_of(job.family), comparison)
    connection = await unit.connection()
    row = await live.live_row(connection, job.model, lock=True)
    if (row.live if row else None) != (before.live if before else None):
        raise live.LiveChangedError
    if row is not None:
        verdict = _unless_forbidden(row, await _snapshot_of(connection, row), manifest, verdict)
    await _record(connection, manifest, verdict)
    await _decide(connection, job, verdict)
    if verdict.passed:
        unit.after_commit(lambda: live.go_live(unit.engine, unit.settings, job.model))
    log.info(
        "published" if verdict.passed else "held",
        model=job.model,
        version=job.version,
        reason=verdict.reason,
        predictor=manifest.predictor.kind,
    )
    return _news(job, manifest, verdict)


def compare(job: Job, manifest: Manifest, row: LiveRow | None, settings: Settings) -> Comparison:
    """Scores candidate and live version on the same test rows, each through its predictor."""
    gate, test = job.spec.gate_of(job.family), job.split.test
    if row is None:
        return _scored(job, manifest, settings, test, why_not="the first version")
    try:
        theirs = read_manifest(settings.models_dir, job.model, row.live, settings.signing_keys)
        known = verify_files(settings.models_dir, theirs, [ROWS])[ROWS]
        why_not = _incomparable(manifest, theirs)
        if why_not:
            return _scored(job, manifest, settings, test, why_not=f"not compared: {why_not}")
        seen = seen_rows(known, job.data.matrix[test], job.data.target[test])
        rows = test[comparable_rows(seen)]
        value = _score(job, theirs, settings, rows)
    except BundleError as error:
        why = f"not compared: live version {row.live} cannot be used: {error.message}"
        return _scored(job, manifest, settings, test, why_not=why)
    if value is None:
        return _scored(job, manifest, settings, test, why_not=f"not compared: {gate.metric} of the live one is unknown")
    return Comparison(
        candidate=_score(job, manifest, settings, rows),
        live=value,
        live_before=theirs.metrics.get(gate.metric),
        live_version=row.live,
        rows=len(rows),
        seen=sum(seen) if len(rows) == len(test) else 0,
    )


def _scored(job: Job, manifest: Manifest, settings: Settings, rows: Any, *, why_not: str) -> Comparison:
    return Comparison(candidate=_score(job, manifest, settings, rows), rows=len(rows), why_not=why_not)


def _score(job: Job, manifest: Manifest, settings: Settings, rows: Any) -> float | None:
    """The gate's metric of a version in the folder, on rows of the job's data."""
    predictor = _load(manifest, settings)
    found = answer(predictor, job.data.matrix[rows], classifies=bool(job.data.classes))
    return score(job.spec.gate_of(job.family).metric, job.data.target[rows], found, len(job.data.classes))


def _load(manifest: Manifest, settings: Settings) -> Any:
    """What answers for a version: its predictor, or the model itself where it has none. Raises BundleError."""
    if manifest.predictor.kind != PICKLE:
        return load_predictor(predictor_files(settings.models_dir, manifest), manifest)
    import io

    import joblib

    reason = incompatibility(manifest, installed_libraries())
    if reason:
        raise BundleError(reason)
    # Verified: these bytes were signed by this installation.
    content = verify_files(settings.models_dir, manifest, [BUNDLE])[BUNDLE]
    return joblib.load(io.BytesIO(content))["model"]


def _incomparable(ours: Manifest, theirs: Manifest) -> str:
    """Why two versions cannot answer for the same rows, or an empty text."""
    if (ours.task, ours.target) != (theirs.task, theirs.target):
        return f"the live version predicts {theirs.target}"
    if ours.feature_columns != theirs.feature_columns:
        return "the live version has other features"
    if ours.classes != theirs.classes:
        return f"the live version has the classes {', '.join(theirs.classes)}"
    return ""


def _unless_forbidden(row: LiveRow, snapshot: int | None, manifest: Manifest, verdict: Verdict) -> Verdict:
    """The verdict, unless a pin or the order of snapshots forbids to go live."""
    if snapshot is not None and manifest.snapshot < snapshot:
        reason = f"its snapshot {manifest.snapshot} is older than the live version's {snapshot}"
        return Verdict(passed=False, reason=reason)
    if row.pinned and verdict.passed:
        return Verdict(passed=False, reason=f"pinned: version {row.live} stays live")
    return verdict


async def _snapshot_of(connection: AsyncConnection, row: LiveRow) -> int | None:
    """The snapshot that the live version was trained on; None where the table does not know."""
    found = select(model_versions.c.snapshot).where(
        model_versions.c.model == row.model, model_versions.c.version == row.live
    )
    snapshot = await connection.scalar(found)
    return None if snapshot is None else int(snapshot)


async def _record(connection: AsyncConnection, manifest: Manifest, verdict: Verdict) -> None:
    """The version's row: from reserved to published or held."""
    await connection.execute(
        update(model_versions)
        .where(model_versions.c.model == manifest.model, model_versions.c.version == manifest.version)
        .values(
            state="published" if verdict.passed else "held",
            digest=manifest.snapshot_digest,
            metrics=manifest.metrics,
            best_params=manifest.best_params,
            report=manifest.report,
            scores=manifest.scores,
            rows_train=manifest.rows_train,
            rows_test=manifest.rows_test,
            seconds=manifest.seconds,
            reason=verdict.reason,
            published_at=func.clock_timestamp(),
        )
    )


async def _decide(connection: AsyncConnection, job: Job, verdict: Verdict) -> None:
    """The history, and where the version goes live its row."""
    run_id = job.event.correlationid
    entry: dict[str, Any] = {"model": job.model, "version": job.version, "actor": "train", "reason": verdict.reason}
    if verdict.passed:
        await live.choose_live(connection, dataset=job.spec.name, action="publish", run_id=run_id, **entry)
    else:
        await live.record_decision(connection, action="hold", run_id=run_id, **entry)


def _news(job: Job, manifest: Manifest, verdict: Verdict) -> list[Event]:
    kind = ModelPublished if verdict.passed else ModelHeld
    trained = ModelTrained.caused_by(
        job.event,
        dataset=job.spec.name,
        family=job.family,
        model=job.model,
        version=job.version,
        metrics=manifest.metrics,
        best_params=manifest.best_params,
        report=manifest.report,
        seconds=manifest.seconds,
    )
    told = kind.caused_by(job.event, dataset=job.spec.name, model=job.model, version=job.version, reason=verdict.reason)
    return [trained, told]
