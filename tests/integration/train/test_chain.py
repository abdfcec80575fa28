"""From a data file to live versions, each hop by its service's real handlers under real claims."""

from typing import Any

import numpy as np

from common.bundles.reader import predictor_files, read_aliases, read_manifest
from common.features import Encoder
from common.predictors import load_predictor
from common.snapshots import read_columns, read_encoded, snapshot_features
from services.ingest.handlers import HANDLERS as INGEST
from services.preprocess.handlers import HANDLERS as PREPROCESS
from services.train.handlers import HANDLERS as TRAIN
from tests.desk import Desk


async def test_a_file_becomes_live_versions(desk: Desk) -> None:
    """The file's rows, the encoded table and what the versions answer fit each other, through three services."""
    desk.penguins()
    (ingested,) = await desk.handle(await desk.ask("penguins"), INGEST)
    (preprocessed,) = await desk.handle(ingested, PREPROCESS)
    asked: Any = await desk.handle(preprocessed, TRAIN)
    for event in asked:
        await desk.handle(event, TRAIN)
    models_dir, keys = desk.settings.models_dir, desk.settings.signing_keys
    features = await snapshot_features(desk.engine, "penguins", 1)
    columns = await read_columns(desk.engine, "penguins", 1)
    encoded = await read_encoded(desk.engine, "penguins", 1)
    matrix = Encoder(features.features).encode_columns(columns)
    assert len(matrix) == len(encoded) == 333
    for family in ("logistic_regression", "random_forest", "svc"):
        manifest = read_manifest(models_dir, family, read_aliases(models_dir, family, keys).live, keys)
        predictor = load_predictor(predictor_files(models_dir, manifest), manifest)
        labels = np.array(manifest.classes, dtype=object)[predictor.predict(matrix).astype(int)]
        assert (labels == columns["species"]).mean() > 0.97
        assert (manifest.rows, manifest.run_id) == (333, str(preprocessed.correlationid))
