"""Reads what a training works on: a snapshot's rows, encoded as a request's records are."""

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncEngine

from common.datasets import DatasetSpec
from common.errors import NotFoundError
from common.features import Encoder, Feature, Floats
from common.snapshots import get_snapshot, read_columns
from services.train.dataset import TrainingData


async def read_training_data(engine: AsyncEngine, spec: DatasetSpec, number: int) -> TrainingData:
    """The rows of a preprocessed snapshot, or a sample of them where the spec says so.

    Raises NotFoundError where the snapshot is gone or not preprocessed.
    """
    async with engine.connect() as connection:
        snapshot = await get_snapshot(connection, spec.name, number)
    if snapshot is None or snapshot.features is None:
        raise NotFoundError(f"snapshot {number} of {spec.name!r} is gone or not preprocessed")
    rows = sample_rows(snapshot.rows_kept, spec)
    columns = await read_columns(engine, spec.name, number, chosen=rows)
    features, target = snapshot.features.features, snapshot.features.target
    matrix, answers = await asyncio.to_thread(encode, columns, features, target)
    return TrainingData(
        snapshot=number,
        digest=snapshot.digest,
        features=features,
        classes=target.levels,
        matrix=matrix,
        target=answers,
        rows=snapshot.rows_kept,
        numbers=np.arange(len(answers)) if rows is None else rows.astype(np.int64),
    )


def sample_rows(rows: int, spec: DatasetSpec) -> NDArray[np.intp] | None:
    """Which rows to train on where there are more than the spec allows, sorted: the same ones each time."""
    if spec.sample_rows is None or rows <= spec.sample_rows:
        return None
    random = np.random.default_rng(spec.random_state)
    return np.sort(random.choice(rows, size=spec.sample_rows, replace=False)).astype(np.intp)


def encode(
    columns: Mapping[str, NDArray[Any]], features: tuple[Feature, ...], target: Feature
) -> tuple[Floats, Floats]:
    """The matrix, and the target as class indices or numbers."""
    matrix = Encoder(features).encode_columns(columns)
    values = columns[target.name]
    if target.kind == "numeric":
        return matrix, values.astype(np.float64)
    places = {level: float(place) for place, level in enumerate(target.levels)}
    return matrix, np.array([places[value] for value in values], dtype=np.float64)
