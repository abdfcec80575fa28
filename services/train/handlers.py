"""What train does with events: one training per family, each published or held, then a report of it."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from sqlalchemy import select

from common.database.tables import events
from common.datasets import DatasetSpec, find_spec, model_name
from common.errors import NotFoundError
from common.events.handling import Handler
from common.events.model import (
    CandidatesScored,
    DatasetPreprocessed,
    Event,
    ModelHeld,
    ModelPublished,
    TrainingRequested,
)
from common.events.unit import UnitOfWork
from common.logs import get_logger
from common.settings import Settings
from common.snapshots import snapshot_features
from services.train.bundling import Job, Product, make_product
from services.train.chunks import fit_in_chunks, is_test_row
from services.train.dataset import Split, TrainingData, split_rows
from services.train.engine import find_scores
from services.train.publishing import find_own, publish, write
from services.train.reading import read_training_data
from services.train.report import render_report
from services.train.search import Score, candidates_of, refit, slice_count
from services.train.versions import reserve_version

log = get_logger(__name__)


async def on_dataset_preprocessed(event: DatasetPreprocessed, unit: UnitOfWork) -> Sequence[Event]:
    """Asks for one training per family, a large grid in slices; trainings of older snapshots that wait are dropped."""
    settings = unit.settings
    spec = _spec(settings, event.data.dataset)
    requests: list[Event] = []
    for family, entry in spec.families.items():
        candidates = len(await asyncio.to_thread(candidates_of, entry))
        # An engine spreads the candidates itself.
        slices = 1 if settings.train_backend else slice_count(candidates, settings.train_processes)
        requests += [
            TrainingRequested.caused_by(
                event,
                subject=model_name(spec, family),
                dataset=spec.name,
                family=family,
                snapshot=event.data.snapshot,
                slice=index,
                slices=slices,
            )
            for index in range(slices)
        ]
    for request in requests:
        unit.pace(request, spec.train_min_interval_s)
    await unit.supersede(spec.name, event.data.snapshot)
    return requests


async def on_training_requested(event: TrainingRequested, unit: UnitOfWork) -> Sequence[Event]:
    """Searches a family's grid and publishes the best; of a slice of it, tells the scores."""
    spec = _spec(unit.settings, event.data.dataset)
    if event.data.family not in spec.families:
        log.warning("family left the spec", family=event.data.family)
        return []
    if event.data.slices > 1:
        return await _score_slice(spec, event, unit)
    version = await _reserve(event, spec, unit)
    if version is None:
        return []
    return await _train(spec, event, unit, version, scores=None)


async def on_candidates_scored(event: CandidatesScored, unit: UnitOfWork) -> Sequence[Event]:
    """The last slice of a grid fits the best candidate of all and publishes it; the others have nothing to do."""
    scores = await _scores_of_all(event, unit)
    spec = _spec(unit.settings, event.data.dataset)
    if scores is None or event.data.family not in spec.families:
        return []
    version = await _reserve(event, spec, unit, once_per_run=True)
    if version is None:
        return []
    return await _train(spec, event, unit, version, scores=scores)


async def on_version_decided(event: ModelPublished | ModelHeld, unit: UnitOfWork) -> Sequence[Event]:
    """Draws the version's report beside it. Not part of the run: a picture that fails fails no training."""
    try:
        await asyncio.to_thread(
            render_report,
            unit.settings.models_dir,
            event.data.model,
            event.data.version,
            unit.settings.signing_keys,
            decision=event.data.reason,
            live=isinstance(event, ModelPublished),
        )
    except NotFoundError as error:
        log.info("no report", model=event.data.model, version=event.data.version, reason=error.message)
    return []


HANDLERS: Mapping[type[Event], Handler] = {
    DatasetPreprocessed: on_dataset_preprocessed,
    TrainingRequested: on_training_requested,
    CandidatesScored: on_candidates_scored,
    ModelPublished: on_version_decided,
    ModelHeld: on_version_decided,
}


async def _train(
    spec: DatasetSpec,
    event: TrainingRequested | CandidatesScored,
    unit: UnitOfWork,
    version: int,
    *,
    scores: list[Score] | None,
) -> Sequence[Event]:
    """Searches (where there are no scores yet), fits, writes and publishes; what an earlier attempt wrote is kept."""
    family = event.data.family
    data, split = await _load(spec, family, event.data.snapshot, unit)
    job = Job(spec=spec, family=family, event=event, version=version, data=data, split=split)
    manifest = await asyncio.to_thread(find_own, unit.settings, job.model, version, event.id)
    if manifest is None:
        chunked = job.family_spec.chunk_rows is not None
        product = await (
            _fit_in_chunks(job, scores, unit) if chunked else asyncio.to_thread(_fit, job, scores, unit.settings)
        )
        manifest = await write(product, unit.settings)
        log.info(
            "trained",
            model=job.model,
            version=version,
            snapshot=data.snapshot,
            best_params=manifest.best_params,
            metrics=manifest.metrics,
            seconds=manifest.seconds,
            warnings=list(manifest.warnings),
            classification_report=product.text,
        )
    return await publish(job, manifest, unit)


def _fit(job: Job, scores: list[Score] | None, settings: Settings) -> Product:
    """The search, the refit and the packing: everything that blocks."""
    began = time.perf_counter()
    train = job.split.train
    matrix, target = job.data.matrix[train], job.data.target[train]
    noted: list[str] = []
    elsewhere_s = sum(score.seconds for score in scores or ())
    if scores is None:
        scores, noted = find_scores(settings, job.spec, job.family_spec, matrix, target)
    fit = refit(job.spec, job.family_spec, scores, matrix, target)
    fit = msgspec.structs.replace(fit, warnings=tuple(dict.fromkeys([*noted, *fit.warnings])))
    return make_product(job, fit, seconds=time.perf_counter() - began + elsewhere_s)


async def _fit_in_chunks(job: Job, scores: list[Score] | None, unit: UnitOfWork) -> Product:
    """The same for a family that is fed in chunks: searched on the rows at hand, fitted on all of the snapshot."""
    began = time.perf_counter()
    train, family = job.split.train, job.family_spec
    elsewhere_s = sum(score.seconds for score in scores or ())
    noted: list[str] = []
    if scores is None:
        matrix, target = job.data.matrix[train], job.data.target[train]
        found = await asyncio.to_thread(find_scores, unit.settings, job.spec, family, matrix, target)
        scores, noted = found
    features = await snapshot_features(unit.engine, job.spec.name, job.data.snapshot)
    fit, sampling = await fit_in_chunks(
        unit.engine, job.spec, family, job.data.snapshot, features=features, scores=scores
    )
    fit = msgspec.structs.replace(fit, warnings=tuple(noted))
    seconds = time.perf_counter() - began + elsewhere_s
    return await asyncio.to_thread(lambda: make_product(job, fit, seconds=seconds, sampling=sampling))


async def _score_slice(spec: DatasetSpec, event: TrainingRequested, unit: UnitOfWork) -> Sequence[Event]:
    asked = event.data
    data, split = await _load(spec, asked.family, asked.snapshot, unit)
    found, noted = await asyncio.to_thread(
        find_scores,
        unit.settings,
        spec,
        spec.families[asked.family],
        data.matrix[split.train],
        data.target[split.train],
        slice_=(asked.slice, asked.slices),
    )
    log.info("slice scored", family=asked.family, slice=asked.slice, slices=asked.slices, warnings=noted)
    return [
        CandidatesScored.caused_by(
            event,
            subject=model_name(spec, asked.family),
            dataset=asked.dataset,
            family=asked.family,
            snapshot=asked.snapshot,
            slice=asked.slice,
            slices=asked.slices,
            scores=[msgspec.to_builtins(score) for score in found],
        )
    ]


async def _scores_of_all(event: CandidatesScored, unit: UnitOfWork) -> list[Score] | None:
    """The scores of every slice of the family in this run; None while one is missing.

    The events are in Postgres before any of them is handled, so the handler of the last one sees them all.
    """
    same = select(events.c.data).where(
        events.c.correlationid == event.correlationid,
        events.c.type == CandidatesScored.type,
        events.c.data["family"].astext == event.data.family,
    )
    async with unit.engine.connect() as connection:
        found = [msgspec.convert(row, CandidatesScored.Data) for row in (await connection.execute(same)).scalars()]
    by_slice = {data.slice: data for data in found if data.snapshot == event.data.snapshot}
    if len(by_slice) < event.data.slices:
        return None
    scores = [msgspec.convert(score, Score) for data in by_slice.values() for score in data.scores]
    return sorted(scores, key=lambda score: score.place)


async def _load(spec: DatasetSpec, family: str, snapshot: int, unit: UnitOfWork) -> tuple[TrainingData, Split]:
    """The rows at hand and their split; a family that is fed in chunks knows each row's part by the row's number."""
    data = await read_training_data(unit.engine, spec, snapshot)
    if spec.families[family].chunk_rows is None:
        return data, await asyncio.to_thread(split_rows, data, spec)
    aside = is_test_row(data.numbers, spec)
    return data, Split(train=np.flatnonzero(~aside), test=np.flatnonzero(aside))


async def _reserve(
    event: TrainingRequested | CandidatesScored, spec: DatasetSpec, unit: UnitOfWork, *, once_per_run: bool = False
) -> int | None:
    settings = unit.settings
    return await reserve_version(
        unit.engine,
        settings.models_dir,
        settings.signing_keys,
        event,
        model=model_name(spec, event.data.family),
        family=event.data.family,
        snapshot=event.data.snapshot,
        once_per_run=once_per_run,
    )


def _spec(settings: Settings, dataset: str) -> DatasetSpec:
    return find_spec(settings.datasets_dir, dataset)
