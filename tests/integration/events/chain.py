"""Handlers that do nothing but pass on, for tests of what carries events: the three hops without work in them."""

import asyncio
from collections.abc import Sequence

from common.events.handling import Handlers
from common.events.model import (
    DatasetIngested,
    DatasetPreprocessed,
    Event,
    IngestRequested,
    ModelPublished,
    TrainingRequested,
)
from common.events.unit import UnitOfWork

HANGS = "hangs"
FAMILIES = ("forest", "linear")


async def on_ingest_requested(event: IngestRequested, _unit: UnitOfWork) -> Sequence[Event]:
    """Announces snapshot 1; a data set of that name hangs."""
    dataset = event.data.dataset
    if dataset == HANGS:
        await asyncio.Event().wait()
    return [DatasetIngested.caused_by(event, dataset=dataset, snapshot=1, digest="d", rows=1)]


async def on_dataset_ingested(event: DatasetIngested, _unit: UnitOfWork) -> Sequence[Event]:
    """Announces that it is preprocessed."""
    dataset = event.data.dataset
    return [DatasetPreprocessed.caused_by(event, dataset=dataset, snapshot=event.data.snapshot, rows_kept=1)]


async def on_dataset_preprocessed(event: DatasetPreprocessed, _unit: UnitOfWork) -> Sequence[Event]:
    """Asks for a training per family."""
    dataset, snapshot = event.data.dataset, event.data.snapshot
    return [
        TrainingRequested.caused_by(event, subject=family, dataset=dataset, family=family, snapshot=snapshot)
        for family in FAMILIES
    ]


async def on_training_requested(event: TrainingRequested, _unit: UnitOfWork) -> Sequence[Event]:
    """Announces version 1."""
    data = event.data
    return [ModelPublished.caused_by(event, dataset=data.dataset, model=data.family, version=1, reason="first")]


async def on_model_published(_event: ModelPublished, _unit: UnitOfWork) -> Sequence[Event]:
    """Nothing."""
    return []


HANDLERS: dict[str, Handlers] = {
    "ingest": {IngestRequested: on_ingest_requested},
    "preprocess": {DatasetIngested: on_dataset_ingested},
    "train": {
        DatasetPreprocessed: on_dataset_preprocessed,
        TrainingRequested: on_training_requested,
        ModelPublished: on_model_published,
    },
}
