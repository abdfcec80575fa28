"""The path from a preprocessed snapshot to a live version, on a real PostgreSQL."""

import io
from typing import Any
from uuid import uuid4

import joblib
import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from common.bundles.reader import predictor_files, read_aliases, read_manifest, verify_files
from common.database.tables import decisions, live_models, model_versions
from common.events.model import DatasetPreprocessed, Event, ModelHeld, ModelPublished, ModelTrained, TrainingRequested
from common.features import Encoder
from common.predictors import load_predictor
from common.settings import Settings
from services.train.handlers import HANDLERS
from tests.integration.train.conftest import add_snapshot, handle, penguins

FAMILIES = ("logistic_regression", "random_forest", "svc")


def preprocessed(snapshot: int = 1) -> DatasetPreprocessed:
    """The event that a training begins with."""
    run = uuid4()
    return DatasetPreprocessed(
        data=DatasetPreprocessed.Data(dataset="penguins", snapshot=snapshot, rows_kept=333),
        subject="penguins",
        correlationid=run,
    )


def requested(family: str, snapshot: int = 1, **changes: Any) -> TrainingRequested:
    """A request to train one family."""
    cause = preprocessed(snapshot)
    return TrainingRequested.caused_by(cause, dataset="penguins", family=family, snapshot=snapshot, **changes)


async def rows_of(engine: AsyncEngine, table: Any) -> list[Any]:
    """All rows of a table."""
    async with engine.connect() as connection:
        return list((await connection.execute(select(table))).all())


async def run(event: Event, engine: AsyncEngine, settings: Settings) -> list[Event]:
    """Handles an event by the service's table."""
    return list(await handle(HANDLERS[type(event)], event, engine, settings))


@pytest.mark.usefixtures("spec_file")
async def test_each_family_of_penguins_goes_live(engine: AsyncEngine, postgres: Settings) -> None:
    """One preprocessed snapshot gives a live version of each family, which answers as its bundle does for all rows."""
    await add_snapshot(engine, penguins())
    asked = await run(preprocessed(), engine, postgres)
    assert [event.data.family for event in asked] == list(FAMILIES)
    keys, encoder = postgres.signing_keys, None
    for event in asked:
        news = await run(event, engine, postgres)
        assert [type(new) for new in news] == [ModelTrained, ModelPublished]
        family = event.data.family
        aliases = read_aliases(postgres.models_dir, family, keys)
        assert (aliases.live, aliases.previous, aliases.trail) == (1, None, (1,))
        manifest = read_manifest(postgres.models_dir, family, 1, keys)
        verify_files(postgres.models_dir, manifest)
        assert manifest.predictor.kind in {"linear", "forest", "svc"}
        assert manifest.default == (family == "random_forest")
        assert manifest.metrics["accuracy"] > 0.95
        bundle = joblib.load(postgres.models_dir / f"{family}.pkl")
        encoder = Encoder(manifest.features)
        frame = penguins()
        matrix = encoder.encode(frame.to_dict("records"))
        predictor = load_predictor(predictor_files(postgres.models_dir, manifest), manifest)
        labels = bundle["label_encoder"].inverse_transform(predictor.predict(matrix).astype(int))
        assert (labels == bundle["label_encoder"].inverse_transform(bundle["model"].predict(matrix))).all()
        assert np.abs(predictor.predict_proba(matrix) - bundle["model"].predict_proba(matrix)).max() < 1e-9
        assert bundle["feature_columns"] == list(encoder.columns)
        assert (labels == frame["species"]).mean() > 0.97
