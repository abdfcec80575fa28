"""Training on a sample, and feeding an estimator in chunks."""

from typing import Any

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from common.bundles.reader import read_manifest
from common.datasets import load_spec
from common.events.model import ModelPublished
from common.settings import Settings
from common.snapshots import snapshot_features
from services.train.chunks import is_test_row, training_chunks
from services.train.reading import read_training_data
from tests.integration.train.conftest import add_snapshot, penguins
from tests.integration.train.test_publishing import requested, run

SGD = """
[families.sgd]
estimator = "sklearn.linear_model.SGDClassifier"
params = { loss = "log_loss", average = true }
grid = { alpha = [0.0001, 0.001] }
scale = true
chunk_rows = 100
"""


async def test_a_family_is_fed_in_chunks(engine: AsyncEngine, postgres: Settings, spec_file: Any) -> None:
    """The estimator sees all training rows, chunk by chunk; the manifest counts them, and the version goes live."""
    spec_file.write_text(spec_file.read_text() + SGD)
    await add_snapshot(engine, penguins())
    _, told = await run(requested("sgd"), engine, postgres)
    assert isinstance(told, ModelPublished)
    manifest = read_manifest(postgres.models_dir, "sgd", 1, postgres.signing_keys)
    assert manifest.sampling["chunks"] == 4
    assert manifest.sampling["rows"] + manifest.rows_test == 333
    assert manifest.rows_train == manifest.sampling["rows"]
    assert manifest.predictor.kind == "linear"
    assert manifest.metrics["accuracy"] > 0.9
    assert await run(told, engine, postgres) == []


async def test_chunks_are_the_training_part(engine: AsyncEngine, postgres: Settings, spec_file: Any) -> None:
    """Together the chunks are the rows that are not set aside, in the order of the source."""
    spec = load_spec(spec_file)
    await add_snapshot(engine, penguins())
    data = await read_training_data(engine, spec, 1)
    features = await snapshot_features(engine, "penguins", 1)
    chunks = [chunk async for chunk in training_chunks(engine, spec, 1, features, 50)]
    kept = ~is_test_row(data.numbers, spec)
    assert len(chunks) == 7
    assert (np.concatenate([chunk.matrix for chunk in chunks]) == data.matrix[kept]).all()
    assert (np.concatenate([chunk.target for chunk in chunks]) == data.target[kept]).all()
    assert is_test_row(np.arange(100_000), spec).mean() == pytest.approx(0.2, abs=0.01)
    assert postgres.models_dir.exists()


async def test_a_sample_is_trained_on_where_the_spec_says_so(
    engine: AsyncEngine, postgres: Settings, spec_file: Any
) -> None:
    """More rows than `sample_rows`: the same sample each time, and the manifest says of how many."""
    spec_file.write_text(spec_file.read_text().replace("[split]", "[split]\nsample_rows = 150"))
    await add_snapshot(engine, penguins())
    spec = load_spec(spec_file)
    first, second = await read_training_data(engine, spec, 1), await read_training_data(engine, spec, 1)
    assert (first.matrix == second.matrix).all()
    assert (first.numbers == second.numbers).all()
    await run(requested(), engine, postgres)
    manifest = read_manifest(postgres.models_dir, "logistic_regression", 1, postgres.signing_keys)
    assert manifest.sampling == {"rows": 150, "of": 333}
    assert (manifest.rows, manifest.rows_train, manifest.rows_test) == (333, 120, 30)
