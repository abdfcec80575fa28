"""The path from a preprocessed snapshot to a live version, on a real PostgreSQL."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import joblib
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from common.bundles import layout
from common.bundles.live import RAISE_GENERATIONS, live_damage, sweep_live
from common.bundles.reader import list_versions, predictor_files, read_aliases, read_manifest, verify_files
from common.database.tables import decisions, live_models, model_versions
from common.events.model import DatasetPreprocessed, Event, ModelHeld, ModelPublished, ModelTrained, TrainingRequested
from common.features import Encoder
from common.predictors import load_predictor
from common.settings import Settings
from services.train import handlers
from services.train.handlers import HANDLERS
from tests.integration.train.conftest import Unit, add_snapshot, handle, penguins

FAMILIES = ("logistic_regression", "random_forest", "svc")
pytestmark = pytest.mark.usefixtures("spec_file")


def preprocessed(snapshot: int = 1) -> DatasetPreprocessed:
    """The event that a training begins with."""
    data = DatasetPreprocessed.Data(dataset="penguins", snapshot=snapshot, rows_kept=333)
    return DatasetPreprocessed(data=data, subject="penguins", correlationid=uuid4())


def requested(family: str = "logistic_regression", snapshot: int = 1) -> TrainingRequested:
    """A request to train one family."""
    return TrainingRequested.caused_by(preprocessed(snapshot), dataset="penguins", family=family, snapshot=snapshot)


async def run(event: Event, engine: AsyncEngine, settings: Settings) -> list[Any]:
    """Handles an event by the service's table, and commits."""
    return list(await handle(HANDLERS[type(event)], event, engine, settings))


async def rows_of(engine: AsyncEngine, table: Any) -> Sequence[Any]:
    """All rows of a table, in the order of their first columns."""
    async with engine.connect() as connection:
        return (await connection.execute(select(table).order_by(*list(table.c)[:2]))).all()


def worse() -> pd.DataFrame:
    """The penguins with their species dealt out anew."""
    frame = penguins()
    frame["species"] = np.random.default_rng(0).permutation(frame["species"].to_numpy())
    return frame


async def test_each_family_of_penguins_goes_live(engine: AsyncEngine, postgres: Settings) -> None:
    """One snapshot gives a live version of each family, which answers for every row as its bundle does."""
    await add_snapshot(engine, penguins())
    asked = await run(preprocessed(), engine, postgres)
    assert [event.data.family for event in asked] == list(FAMILIES)
    frame = penguins()
    records = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    for event in asked:
        assert [type(new) for new in await run(event, engine, postgres)] == [ModelTrained, ModelPublished]
        family = event.data.family
        aliases = read_aliases(postgres.models_dir, family, postgres.signing_keys)
        assert (aliases.live, aliases.previous, aliases.trail) == (1, None, (1,))
        manifest = read_manifest(postgres.models_dir, family, 1, postgres.signing_keys)
        verify_files(postgres.models_dir, manifest)
        assert manifest.predictor.kind in {"linear", "forest", "svc"}
        assert manifest.default == (family == "random_forest")
        assert manifest.metrics["accuracy"] > 0.95
        assert (manifest.rows, manifest.rows_train, manifest.rows_test) == (333, 266, 67)
        bundle = joblib.load(postgres.models_dir / f"{family}.pkl")
        matrix = Encoder(manifest.features).encode(records)
        predictor = load_predictor(predictor_files(postgres.models_dir, manifest), manifest)
        labels = bundle["label_encoder"].inverse_transform(predictor.predict(matrix).astype(int))
        assert (labels == bundle["label_encoder"].inverse_transform(bundle["model"].predict(matrix))).all()
        assert np.abs(predictor.predict_proba(matrix) - bundle["model"].predict_proba(matrix)).max() < 1e-9
        assert bundle["feature_columns"] == list(Encoder(manifest.features).columns)
        assert (labels == frame["species"]).mean() > 0.97


async def test_trainings_are_paced_and_overtake(engine: AsyncEngine, postgres: Settings) -> None:
    """All requests of a snapshot wait for the same interval, and waiting ones of older snapshots are dropped."""
    unit: Any = Unit(engine, postgres)
    asked = await handlers.on_dataset_preprocessed(preprocessed(4), unit)
    assert set(unit.paced) == {event.id for event in asked}
    assert set(unit.paced.values()) == {300.0}
    assert unit.superseded == [("penguins", 4)]


async def test_what_was_published_is_written_down(engine: AsyncEngine, postgres: Settings) -> None:
    """Version, decision and live row say the same, and the event carries metrics and the best parameters."""
    await add_snapshot(engine, penguins())
    event = requested()
    trained, published = await run(event, engine, postgres)
    (version,) = await rows_of(engine, model_versions)
    (decision,) = await rows_of(engine, decisions)
    (live,) = await rows_of(engine, live_models)
    assert (version.state, version.event_id, version.run_id) == ("published", event.id, event.correlationid)
    assert version.metrics == trained.data.metrics
    assert version.best_params == trained.data.best_params
    assert set(version.report) > {"Adelie", "Chinstrap", "Gentoo", "macro avg"}
    assert len(version.scores) == 3
    assert (decision.action, decision.actor, decision.version) == ("publish", "train", 1)
    assert decision.reason == published.data.reason == version.reason
    assert (live.live, live.generation, live.written_generation) == (1, 1, 1)


async def test_the_same_snapshot_gives_the_same_model(engine: AsyncEngine, postgres: Settings) -> None:
    """Training again gives the same predictions, and the equal candidate passes the gate."""
    await add_snapshot(engine, penguins())
    for family in FAMILIES:
        await run(requested(family), engine, postgres)
        _, told = await run(requested(family), engine, postgres)
        assert isinstance(told, ModelPublished)
        keys = postgres.signing_keys
        first, second = (read_manifest(postgres.models_dir, family, number, keys) for number in (1, 2))
        assert first.samples == second.samples
        assert first.files["predictor.npz"].size == second.files["predictor.npz"].size
        aliases = read_aliases(postgres.models_dir, family, keys)
        assert (aliases.live, aliases.previous, aliases.trail) == (2, 1, (2, 1))


async def test_shuffled_labels_are_held(engine: AsyncEngine, postgres: Settings) -> None:
    """A model of shuffled labels does not go live, though on such rows it is no worse than the live one."""
    await add_snapshot(engine, penguins(), 1)
    await add_snapshot(engine, worse(), 2)
    for family in FAMILIES:
        await run(requested(family, snapshot=1), engine, postgres)
        _, held = await run(requested(family, snapshot=2), engine, postgres)
        assert isinstance(held, ModelHeld)
        assert "far from the" in held.data.reason or "is asked for" in held.data.reason
        assert read_aliases(postgres.models_dir, family, postgres.signing_keys).live == 1
    assert [decision.action for decision in await rows_of(engine, decisions)] == ["publish", "hold"] * 3


async def test_a_worse_family_is_held(engine: AsyncEngine, postgres: Settings, spec_file: Any) -> None:
    """A candidate that does worse on the same rows than the live version may by the gate is held; rows were unseen."""
    await add_snapshot(engine, penguins())
    await run(requested(), engine, postgres)
    spec_file.write_text(spec_file.read_text().replace("grid = { C = [0.1, 1, 10] }", "grid = { C = [0.000001] }"))
    _, held = await run(requested(), engine, postgres)
    assert isinstance(held, ModelHeld)
    assert "live version 1 has 1.0000 on the same 67 test rows: a change of at least -0.05" in held.data.reason


async def test_a_model_below_the_threshold_is_held(engine: AsyncEngine, postgres: Settings, spec_file: Any) -> None:
    """A threshold holds whatever misses it, and what was held is recorded and announced with its reason."""
    spec_file.write_text(spec_file.read_text().replace("[gate]", "[gate]\nthreshold = 0.9"))
    await add_snapshot(engine, worse())
    trained, held = await run(requested(), engine, postgres)
    assert isinstance(trained, ModelTrained)
    assert isinstance(held, ModelHeld)
    assert "misses the threshold 0.9" in held.data.reason
    (version,) = await rows_of(engine, model_versions)
    assert (version.state, version.reason) == ("held", held.data.reason)
    assert await rows_of(engine, live_models) == []
    assert not (postgres.models_dir / "logistic_regression.pkl").exists()


async def test_a_pinned_model_stays(engine: AsyncEngine, postgres: Settings) -> None:
    """A version published beside a pinned one is held with that reason."""
    await add_snapshot(engine, penguins())
    await run(requested(), engine, postgres)
    async with engine.begin() as connection:
        await connection.execute(update(live_models).values(pinned=True))
    _, held = await run(requested(), engine, postgres)
    assert isinstance(held, ModelHeld)
    assert held.data.reason == "pinned: version 1 stays live"
    assert read_aliases(postgres.models_dir, "logistic_regression", postgres.signing_keys).live == 1


async def test_an_older_snapshot_never_replaces_a_newer(engine: AsyncEngine, postgres: Settings) -> None:
    """A late training of an overtaken snapshot is held."""
    await add_snapshot(engine, penguins(), 1)
    await add_snapshot(engine, penguins(), 2)
    await run(requested(snapshot=2), engine, postgres)
    _, held = await run(requested(snapshot=1), engine, postgres)
    assert isinstance(held, ModelHeld)
    assert "snapshot 1 is older than the live version's 2" in held.data.reason


async def test_other_classes_are_not_compared(engine: AsyncEngine, postgres: Settings) -> None:
    """Where the target has got other classes the candidate goes live, and the reason says why nothing was compared."""
    frame = penguins()
    await add_snapshot(engine, frame[frame["species"] != "Gentoo"], 1)
    await add_snapshot(engine, frame, 2)
    await run(requested(snapshot=1), engine, postgres)
    _, told = await run(requested(snapshot=2), engine, postgres)
    assert isinstance(told, ModelPublished)
    assert "not compared: the live version has the classes Adelie, Chinstrap" in told.data.reason


async def test_a_broken_live_version_is_replaced(engine: AsyncEngine, postgres: Settings) -> None:
    """A live version whose folder is gone cannot be compared with, and does not stand in the way."""
    await add_snapshot(engine, penguins())
    await run(requested(), engine, postgres)
    layout.version_dir(postgres.models_dir, "logistic_regression", 1).rename(postgres.models_dir / "gone")
    assert live_damage(postgres.models_dir, "logistic_regression", postgres.signing_keys)
    _, told = await run(requested(), engine, postgres)
    assert isinstance(told, ModelPublished)
    assert "live version 1 cannot be used" in told.data.reason
    assert live_damage(postgres.models_dir, "logistic_regression", postgres.signing_keys) is None


@pytest.mark.parametrize("crash", ["before the folder", "before the commit", "before the pointers"])
async def test_a_crash_makes_no_second_version(
    engine: AsyncEngine, postgres: Settings, crash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever an attempt ends, the next one of the same event ends where one without a crash would."""
    await add_snapshot(engine, penguins())
    event = requested()
    unit: Any = Unit(engine, postgres)
    if crash == "before the folder":
        with monkeypatch.context() as patched:
            patched.setattr(handlers, "write", _crash)
            with pytest.raises(ConnectionAbortedError):
                await handlers.on_training_requested(event, unit)
    else:
        await handlers.on_training_requested(event, unit)
    if crash == "before the pointers":
        unit.callbacks.clear()
        await unit.finish()
        assert await sweep_live(engine, postgres) == ["logistic_regression"]
    else:
        await unit.abandon()
        await run(event, engine, postgres)
    assert list_versions(postgres.models_dir, "logistic_regression") == (1,)
    (version,) = await rows_of(engine, model_versions)
    assert (version.version, version.state) == (1, "published")
    assert len(await rows_of(engine, decisions)) == 1
    assert read_aliases(postgres.models_dir, "logistic_regression", postgres.signing_keys).live == 1
    assert await sweep_live(engine, postgres) == []


async def _crash(*_: Any) -> None:
    raise ConnectionAbortedError


async def test_a_new_database_beside_an_old_folder(engine: AsyncEngine, postgres: Settings) -> None:
    """With the database lost, numbers and generations go on above the folder's: its readers see no step back."""
    await add_snapshot(engine, penguins())
    for _ in range(3):
        await run(requested(), engine, postgres)
    before = read_aliases(postgres.models_dir, "logistic_regression", postgres.signing_keys)
    async with engine.begin() as connection:
        for table in (model_versions, live_models, decisions):
            await connection.execute(table.delete())
    await run(requested(), engine, postgres)
    after = read_aliases(postgres.models_dir, "logistic_regression", postgres.signing_keys)
    assert after.live == 4
    assert after.generation > before.generation
    assert await sweep_live(engine, postgres) == []


async def test_a_restored_backup_goes_above_what_is_served(engine: AsyncEngine, postgres: Settings) -> None:
    """After a restore of database and folder, the sweep writes what they say with a generation above any before."""
    await add_snapshot(engine, penguins())
    await run(requested(), engine, postgres)
    before = read_aliases(postgres.models_dir, "logistic_regression", postgres.signing_keys)
    for _ in range(2):
        async with engine.begin() as connection:
            # As if the dump had been loaded: the row as it was then.
            await connection.execute(live_models.update().values(generation=before.generation))
            await connection.execute(text(RAISE_GENERATIONS))
        assert await sweep_live(engine, postgres) == ["logistic_regression"]
        after = read_aliases(postgres.models_dir, "logistic_regression", postgres.signing_keys)
        assert (after.live, after.trail) == (before.live, before.trail)
        assert after.generation > 1_700_000_000_000
        assert await sweep_live(engine, postgres) == []


async def test_two_trainings_at_once_get_two_numbers(engine: AsyncEngine, postgres: Settings) -> None:
    """Two events that train the same model at the same time make two versions, the later decision is live."""
    await add_snapshot(engine, penguins())
    first, second = requested(), requested()
    results = await asyncio.gather(run(first, engine, postgres), run(second, engine, postgres), return_exceptions=True)
    # The one that judged against a live version that is no longer live is told to try again.
    for event, result in zip((first, second), results, strict=True):
        if isinstance(result, BaseException):
            assert getattr(result, "retryable", False)
            await run(event, engine, postgres)
    assert {version.version for version in await rows_of(engine, model_versions)} == {1, 2}
    assert [version.state for version in await rows_of(engine, model_versions)] == ["published"] * 2
    assert len(await rows_of(engine, decisions)) == 2
    assert await sweep_live(engine, postgres) == []


async def test_a_family_that_left_the_spec_is_not_trained(
    engine: AsyncEngine, postgres: Settings, spec_file: Any
) -> None:
    """A request for a family that the spec has no more ends without a version."""
    text = spec_file.read_text()
    spec_file.write_text(text[: text.index("[families.svc]")])
    assert await run(requested("svc"), engine, postgres) == []
    assert await rows_of(engine, model_versions) == []


async def test_the_report_follows(engine: AsyncEngine, postgres: Settings) -> None:
    """The announcement of a version leads to its report beside it, and the version still verifies."""
    await add_snapshot(engine, penguins())
    _, told = await run(requested(), engine, postgres)
    assert await run(told, engine, postgres) == []
    report = layout.report_dir(postgres.models_dir, "logistic_regression", 1)
    names = {path.name for path in report.iterdir()}
    assert names >= {"model_card.md", "confusion_matrix.png", "calibration.png", "feature_pairs.png"}
    assert "It went live" in (report / "model_card.md").read_text()
    verify_files(
        postgres.models_dir, read_manifest(postgres.models_dir, "logistic_regression", 1, postgres.signing_keys)
    )
    # Once more, as a redelivered event would: the report is replaced, nothing is left over.
    await run(told, engine, postgres)
    assert {path.name for path in report.parent.iterdir() if path.name.startswith(".")} == set()
