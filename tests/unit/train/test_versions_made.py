"""What a training makes: evaluated, packed and reported, for any task and estimator."""

import io
import warnings
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import make_classification, make_regression

from common.bundles.manifest import Manifest
from common.bundles.reader import read_manifest, verify_files
from common.bundles.writer import write_version
from common.datasets import DatasetSpec, parse_spec
from common.datasets.estimators import METRICS
from common.events.model import DatasetPreprocessed, TrainingRequested
from common.features import Encoder, Feature
from common.predictors.loading import PICKLE
from services.train.bundling import Job, Product, make_product, seen_rows
from services.train.dataset import TrainingData, split_rows
from services.train.evaluation import Answers, score
from services.train.report import render_report
from services.train.search import refit, search
from tests.unit.bundles.test_manifest import KEY
from tests.unit.train.test_gate import verdict

SPEC = """
target = "y"
task = "{task}"
[source]
kind = "csv"
path = "x.csv"
[features]
numeric = ["a", "b"]
categorical = ["c"]
[families.only]
estimator = "sklearn.{estimator}"
{more}
"""
FEATURES = (
    Feature("a", "numeric", minimum=-1.0, maximum=1.0),
    Feature("c", "categorical", ("one", "three", "two|")),
    Feature("b", "numeric", fill=0.5),
)


def spec_of(estimator: str, task: str = "classification", more: str = "") -> DatasetSpec:
    """A data set with one family."""
    return parse_spec("small", SPEC.format(task=task, estimator=estimator, more=more))


def rows_of(task: str, classes: int = 2) -> TrainingData:
    """Rows of two numbers and a category."""
    names = tuple(f"class {index}" for index in range(classes)) if task == "classification" else ()
    if names:
        matrix, target = make_classification(
            150, 2, n_informative=2, n_redundant=0, n_classes=classes, n_clusters_per_class=1, random_state=0
        )
    else:
        matrix, target = make_regression(150, 2, noise=3.0, random_state=0)
    level = np.arange(150) % 3
    records = [
        {"a": row[0], "b": row[1], "c": FEATURES[1].levels[at]} for row, at in zip(matrix.tolist(), level, strict=True)
    ]
    return TrainingData(
        snapshot=1,
        digest="d",
        features=FEATURES,
        classes=names,
        matrix=Encoder(FEATURES).encode(records),
        target=target.astype(float),
        rows=150,
    )


def made(spec: DatasetSpec, data: TrainingData) -> tuple[Job, Product]:
    """A training of the one family."""
    cause = DatasetPreprocessed.first(subject="s", source="t", dataset="small", snapshot=1, rows_kept=150)
    event = TrainingRequested.caused_by(cause, dataset="small", family="only", snapshot=1)
    job = Job(spec=spec, family="only", event=event, version=1, data=data, split=split_rows(data, spec))
    matrix, target = data.matrix[job.split.train], data.target[job.split.train]
    scores, _ = search(spec, job.family_spec, matrix, target)
    return job, make_product(job, refit(spec, job.family_spec, scores, matrix, target), seconds=1.0)


def written(folder: Path, product: Product) -> Manifest:
    """The version in a folder."""
    return write_version(folder, product.manifest, product.files, KEY)


CASES = {
    "boosted classes": (spec_of("ensemble.HistGradientBoostingClassifier"), "classification", 3, PICKLE),
    "neighbours": (spec_of("neighbors.KNeighborsClassifier", more="scale = true"), "classification", 2, PICKLE),
    "forest of two classes": (spec_of("ensemble.RandomForestClassifier"), "classification", 2, "forest"),
    "polynomial SVC": (
        spec_of("svm.SVC", more='calibrated = true\nparams = { kernel = "poly" }'),
        "classification",
        3,
        PICKLE,
    ),
    "ridge": (spec_of("linear_model.Ridge", "regression", "scale = true"), "regression", 0, "linear"),
    "forest of numbers": (spec_of("ensemble.RandomForestRegressor", "regression"), "regression", 0, "forest"),
    "boosted numbers": (spec_of("ensemble.GradientBoostingRegressor", "regression"), "regression", 0, "forest"),
}


@pytest.mark.parametrize("name", CASES)
def test_any_estimator_makes_a_version(name: str, tmp_path: Path) -> None:
    """Whatever the estimator, the version verifies, says why it has no predictor, and has a whole report."""
    spec, task, classes, kind = CASES[name]
    _, product = made(spec, rows_of(task, classes))
    manifest = written(tmp_path, product)
    files = verify_files(tmp_path, read_manifest(tmp_path, "small.only", 1, [KEY]))
    assert manifest.predictor.kind == kind
    assert bool(manifest.predictor.why) == (kind == PICKLE)
    assert set(manifest.metrics) == set(METRICS[spec.task])
    bundle = joblib.load(io.BytesIO(files["bundle.pkl"]))
    assert set(bundle) >= {"model", "label_encoder", "feature_columns"}
    encoded = Encoder(manifest.features).encode(manifest.samples.records)
    assert bundle["model"].predict(encoded).tolist() == pytest.approx(manifest.samples.labels)
    report = render_report(tmp_path, "small.only", 1, [KEY], decision="because", live=False)
    names = {path.name for path in report.iterdir()}
    expected = {"confusion_matrix.png", "per_class.png", "calibration.png"} if classes else {"residuals.png"}
    assert names == expected | {
        "permutation_importance.png",
        "feature_pairs.png",
        "categories.png",
        "search.png",
        "model_card.md",
    }
    assert all(path.stat().st_size > 5_000 for path in report.glob("*.png"))
    card = (report / "model_card.md").read_text()
    assert "It was **held**" in card
    assert "two\\|" in card


def test_a_report_takes_many_classes_with_long_names(tmp_path: Path) -> None:
    """Names too long for an axis and more classes than a picture shows cost no report."""
    spec, task, _, _ = CASES["forest of two classes"]
    names = tuple(f"a species of oak with a name that fits no axis, {index:02}" for index in range(24))
    rows = msgspec.structs.replace(rows_of(task), classes=names, target=(np.arange(150) % 24).astype(float))
    written(tmp_path, made(spec, rows)[1])
    report = render_report(tmp_path, "small.only", 1, [KEY], decision="because", live=True)
    assert (report / "per_class.png").stat().st_size > 5_000
    assert names[0] in (report / "model_card.md").read_text()


def test_drawing_leaves_nothing_behind(tmp_path: Path) -> None:
    """A report opens no figure of pyplot and changes none of matplotlib's settings."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    spec, task, classes, _ = CASES["forest of two classes"]
    written(tmp_path, made(spec, rows_of(task, classes))[1])
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render_report(tmp_path, "small.only", 1, [KEY], decision="because", live=True)
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_rows_trained_on_are_known_again() -> None:
    """By a version's hashes its training rows are known, and its test rows are not."""
    spec, task, classes, _ = CASES["forest of two classes"]
    job, product = made(spec, rows_of(task, classes))
    data, split = job.data, job.split
    assert all(seen_rows(product.files["rows.npy"], data.matrix[split.train], data.target[split.train]))
    assert not any(seen_rows(product.files["rows.npy"], data.matrix[split.test], data.target[split.test]))


@pytest.mark.parametrize("metric", METRICS["classification"])
def test_metrics_are_scikit_learns_scorers(metric: str) -> None:
    """Each metric computed from answers equals the scorer of that name on the model."""
    spec, task, _, _ = CASES["forest of two classes"]
    for classes in (2, 3):
        job, product = made(spec, rows_of(task, classes))
        model = joblib.load(io.BytesIO(product.files["bundle.pkl"]))["model"]
        test, target = job.data.matrix[job.split.test], job.data.target[job.split.test].astype(int)
        expected = metrics.get_scorer(metric)(model, test, target)
        assert product.manifest.metrics[metric] == pytest.approx(expected, abs=1e-12)


def test_what_cannot_be_told_is_none() -> None:
    """A curve of classes of which one does not occur is not made up, and the gate then holds."""
    answers = Answers(labels=np.zeros(3), probabilities=np.full((3, 3), 1 / 3))
    value: Any = score("roc_auc_ovr", np.zeros(3), answers, 3)
    assert value is None
    assert not verdict(candidate=None)[0]
