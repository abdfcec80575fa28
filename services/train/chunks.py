"""Training on more rows than fit into memory: an estimator with `partial_fit`, fed from the snapshot in chunks.

The search runs on a sample; the winner then sees every row of the training part once, chunk by chunk, in the order of
the source. Each row is put into the training or the test part by its own number, so that no list of rows is kept.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncEngine

from common.datasets import DatasetSpec, FamilySpec
from common.errors import DataError
from common.features import Feature, Floats
from common.snapshots import Features, stream_columns
from services.train.dataset import mix
from services.train.reading import encode
from services.train.search import Fit, Score, answers, best_of, build_pipeline


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows of a snapshot, encoded."""

    matrix: Floats
    target: Floats


async def fit_in_chunks(
    engine: AsyncEngine,
    spec: DatasetSpec,
    family: FamilySpec,
    number: int,
    *,
    features: Features,
    scores: Sequence[Score],
) -> tuple[Fit, dict[str, Any]]:
    """Fits the best candidate on all training rows of a snapshot; returns what the manifest says of the chunks too.

    The scaler, where there is one, learns from all rows first: what it would learn from the first chunk alone is not
    what the later ones need. Raises DataError where the training part is empty.
    """
    if family.chunk_rows is None:
        raise DataError("the family is not to be fed in chunks")
    best = best_of(scores)
    pipeline = build_pipeline(spec, family, best.params, smallest_class=2)
    *scalers, (_, estimator) = pipeline.steps
    for _, scaler in scalers:
        async for chunk in training_chunks(engine, spec, number, features, family.chunk_rows):
            await asyncio.to_thread(scaler.partial_fit, chunk.matrix)
    rows = count = 0
    async for chunk in training_chunks(engine, spec, number, features, family.chunk_rows):
        await asyncio.to_thread(_feed, spec, estimator, [scaler for _, scaler in scalers], chunk, features.target)
        rows += len(chunk.target)
        count += 1
    if not rows:
        raise DataError("no row is left to train on")
    fit = Fit(model=pipeline, best_params=best.params, scores=tuple(scores), warnings=())
    return fit, {"chunks": count, "rows_per_chunk": family.chunk_rows, "rows": rows, "searched_on": spec.sample_rows}


async def training_chunks(
    engine: AsyncEngine, spec: DatasetSpec, number: int, features: Features, rows: int
) -> AsyncIterator[Chunk]:
    """The training part of a snapshot in chunks, none of them empty."""
    begin = 0
    async for columns in stream_columns(engine, spec.name, number, rows=rows):
        matrix, target = await asyncio.to_thread(encode, columns, features.features, features.target)
        kept = ~is_test_row(np.arange(begin, begin + len(target)), spec)
        begin += len(target)
        if kept.any():
            yield Chunk(matrix=matrix[kept], target=target[kept])


def is_test_row(numbers: NDArray[np.int64], spec: DatasetSpec) -> NDArray[np.bool_]:
    """Whether rows of these numbers are set aside for the test: a share of `test_size`, the same ones each time."""
    seed = np.uint64(spec.random_state) << np.uint64(32)
    share = mix(mix(numbers.astype(np.uint64) + np.uint64(1)) ^ seed).astype(np.float64) / 2.0**64
    found: NDArray[np.bool_] = share < spec.test_size
    return found


def _feed(spec: DatasetSpec, estimator: Any, scalers: Sequence[Any], chunk: Chunk, target: Feature) -> None:
    matrix = chunk.matrix
    for scaler in scalers:
        matrix = scaler.transform(matrix)
    known = {"classes": np.arange(len(target.levels))} if spec.task == "classification" else {}
    estimator.partial_fit(matrix, answers(spec, chunk.target), **known)
