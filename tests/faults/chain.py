"""Handlers whose only work is to leave a trace: an effect in PostgreSQL, in the transaction that handles the event.

Nothing keeps an effect from being written twice: that is for the runtime to prevent and for the checker to see.
"""

import asyncio
import os
import re
from collections.abc import Sequence

from sqlalchemy import text

from common.events.handling import Handler, Handlers
from common.events.model import (
    DatasetIngested,
    DatasetPreprocessed,
    Event,
    IngestRequested,
    ModelPublished,
    TrainingRequested,
)
from common.events.unit import UnitOfWork
from tests.integration.events import chain

WORK_S = 0.02
# What each run does, once: event type and subject; no subject: whatever data set.
STEPS = (
    (IngestRequested.type, ""),
    (DatasetIngested.type, ""),
    (DatasetPreprocessed.type, ""),
    *((TrainingRequested.type, family) for family in chain.FAMILIES),
    *((ModelPublished.type, family) for family in chain.FAMILIES),
)
SCHEMA = """
CREATE SCHEMA faults;
CREATE TABLE faults.effects (
    number bigserial PRIMARY KEY, event_id uuid NOT NULL, type text NOT NULL, subject text NOT NULL,
    dataset text NOT NULL, run uuid NOT NULL, attempt integer NOT NULL, pid integer NOT NULL, version integer,
    began_at timestamptz NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE faults.models (name text PRIMARY KEY, version integer NOT NULL);
"""


def fit_s(dataset: str) -> float:
    """How long a fit takes for a data set: `x_fits_3s` says it in its name."""
    told = re.search(r"_fits_(\d+)s", dataset)
    return float(told.group(1)) if told else WORK_S


async def _effect(event: Event, unit: UnitOfWork, *, version: int | None = None) -> None:
    """Writes the trace, in the fenced transaction."""
    connection = await unit.connection()
    await connection.execute(
        text(
            "INSERT INTO faults.effects (event_id, type, subject, dataset, run, attempt, pid, version, began_at)"
            " SELECT id, type, subject, dataset, correlationid, :attempt, :pid, :version, started_at"
            " FROM rookery.events WHERE id = :id"
        ),
        {"id": event.id, "attempt": unit.attempt, "pid": os.getpid(), "version": version},
    )


def _traced(handler: Handler, *, work_s: float = 0.0) -> Handler:
    """A handler that takes a while and leaves a trace."""

    async def traced(event: Event, unit: UnitOfWork) -> Sequence[Event]:
        await asyncio.sleep(work_s)
        await _effect(event, unit)
        return await handler(event, unit)

    return traced


async def on_training_requested(event: TrainingRequested, unit: UnitOfWork) -> Sequence[Event]:
    """Makes the next version of the data set's model."""
    data = event.data
    await asyncio.sleep(fit_s(data.dataset))
    connection = await unit.connection()
    version = (
        await connection.execute(
            text(
                "INSERT INTO faults.models AS m VALUES (:name, 1)"
                " ON CONFLICT (name) DO UPDATE SET version = m.version + 1 RETURNING version"
            ),
            {"name": f"{data.dataset}.{data.family}"},
        )
    ).scalar_one()
    await _effect(event, unit, version=version)
    return [ModelPublished.caused_by(event, dataset=data.dataset, model=data.family, version=version, reason="made")]


HANDLERS: dict[str, Handlers] = {
    "ingest": {IngestRequested: _traced(chain.on_ingest_requested, work_s=WORK_S)},
    "preprocess": {DatasetIngested: _traced(chain.on_dataset_ingested)},
    "train": {
        DatasetPreprocessed: _traced(chain.on_dataset_preprocessed),
        TrainingRequested: on_training_requested,
        ModelPublished: _traced(chain.on_model_published),
    },
}
