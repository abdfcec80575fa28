"""How good a model is on rows it has not seen, and whether its predictor answers exactly as scikit-learn does."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from common.bundles.layout import BUNDLE, PREDICTOR
from common.bundles.manifest import PredictorEntry, Samples
from common.datasets.estimators import METRICS, Task
from common.errors import BundleError
from common.features import Encoder, Floats
from common.predictors.arrays import pack
from common.predictors.loading import PICKLE, Predictor, from_bytes
from services.train.dataset import Split, TrainingData
from services.train.export import NoExportError, export

TOLERANCE = 1e-9
_SAMPLES = 16
_CHECKED_ROWS = 20_000


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answers: class indices and their probabilities, or numbers and none."""

    labels: Floats
    probabilities: Floats | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics on the test rows by scikit-learn's names, and for classes the classification report."""

    metrics: dict[str, float]
    report: dict[str, Any] = {}
    text: str = ""


def answer(predictor: Any, matrix: Floats, *, classifies: bool) -> Answers:
    """What a predictor, or a fitted scikit-learn model, says; labels are the most probable classes."""
    if not classifies:
        return Answers(labels=np.asarray(predictor.predict(matrix), dtype=np.float64))
    probabilities = np.asarray(predictor.predict_proba(matrix), dtype=np.float64)
    return Answers(labels=probabilities.argmax(axis=1).astype(np.float64), probabilities=probabilities)


def evaluate(target: Floats, found: Answers, classes: tuple[str, ...]) -> Evaluation:
    """Every metric that a gate may ask for, and the report that people read."""
    from sklearn.metrics import classification_report

    task: Task = "classification" if classes else "regression"
    metrics = {name: value for name in METRICS[task] if (value := score(name, target, found, len(classes))) is not None}
    if not classes:
        return Evaluation(metrics=metrics)
    options = {"labels": list(range(len(classes))), "target_names": list(classes), "zero_division": 0.0}
    return Evaluation(
        metrics=metrics,
        report=_plain(classification_report(target, found.labels, output_dict=True, **options)),
        text=classification_report(target, found.labels, **options),
    )


def score(metric: str, target: Floats, found: Answers, classes: int) -> float | None:
    """One metric by the name of scikit-learn's scorer, the greater the better; None where it cannot be told.

    Computed from answers, not by the scorer itself: the live version is scored through its predictor.
    """
    from sklearn import metrics

    labels, probabilities = found.labels, found.probabilities
    simple = {
        "accuracy": metrics.accuracy_score,
        "matthews_corrcoef": metrics.matthews_corrcoef,
        "r2": metrics.r2_score,
        "explained_variance": metrics.explained_variance_score,
    }
    errors = {
        "neg_mean_absolute_error": metrics.mean_absolute_error,
        "neg_mean_squared_error": metrics.mean_squared_error,
        "neg_median_absolute_error": metrics.median_absolute_error,
        "neg_root_mean_squared_error": metrics.root_mean_squared_error,
    }
    averaged = {"f1": metrics.f1_score, "precision": metrics.precision_score, "recall": metrics.recall_score}
    kind, _, average = metric.rpartition("_")
    if metric in simple:
        value = simple[metric](target, labels)
    elif metric in errors:
        value = -errors[metric](target, labels)
    elif metric == "balanced_accuracy":
        # The mean of the recalls of the classes that occur: the function itself warns where a label does not.
        value = metrics.recall_score(target, labels, labels=np.unique(target), average="macro", zero_division=0.0)
    elif kind in averaged:
        value = averaged[kind](target, labels, average=average, zero_division=0.0)
    elif probabilities is None:
        return None
    elif metric == "neg_log_loss":
        value = -metrics.log_loss(target, probabilities, labels=np.arange(classes))
    elif metric == "roc_auc_ovr" and len(np.unique(target)) == classes:
        value = (
            metrics.roc_auc_score(target, probabilities[:, 1])
            if classes == 2  # noqa: PLR2004 - two classes have one curve
            else metrics.roc_auc_score(target, probabilities, multi_class="ovr")
        )
    else:
        return None
    return float(value)


def make_predictor(model: Any, matrix: Floats, *, classifies: bool) -> tuple[PredictorEntry, dict[str, bytes], Any]:
    """The manifest's entry, the predictor's file and the predictor, where one is exact; else kind `pickle` and why.

    `matrix` holds the rows that it must answer exactly as scikit-learn does.
    """
    try:
        kind, arrays = export(model, matrix.shape[1])
        content = pack(arrays)
        predictor = from_bytes(kind, content)
        why = difference(predictor, model, matrix[:_CHECKED_ROWS], classifies=classifies)
    except (NoExportError, BundleError) as error:
        return PredictorEntry(kind=PICKLE, file=BUNDLE, why=error.message), {}, model
    if why:
        return PredictorEntry(kind=PICKLE, file=BUNDLE, why=why), {}, model
    return PredictorEntry(kind=kind, file=PREDICTOR), {PREDICTOR: content}, predictor


def difference(predictor: Predictor, model: Any, matrix: Floats, *, classifies: bool) -> str:
    """Where a predictor differs from scikit-learn, in a sentence; empty where it is exact.

    Labels must be equal, probabilities within 1e-9, numbers within that relative to the largest of them. scikit-learn's
    own `predict` must be the most probable class too, or people and the server would be told different labels.
    """
    ours, theirs = answer(predictor, matrix, classifies=classifies), answer(model, matrix, classifies=classifies)
    if ours.probabilities is None or theirs.probabilities is None:
        scale = max(1.0, float(np.abs(theirs.labels).max(initial=0.0)))
        apart = float(np.abs(ours.labels - theirs.labels).max(initial=0.0)) / scale
        return "" if apart <= TOLERANCE else f"its numbers are up to {apart:.1e} apart"
    apart = float(np.abs(ours.probabilities - theirs.probabilities).max(initial=0.0))
    if not apart <= TOLERANCE:
        return f"its probabilities are up to {apart:.1e} apart"
    flipped = int((ours.labels != np.asarray(model.predict(matrix), dtype=np.float64)).sum())
    return f"its labels differ in {flipped} of {len(matrix)} rows" if flipped else ""


def make_samples(data: TrainingData, split: Split, model: Any) -> Samples:
    """A few test rows as records, with the answers of training: what inference must answer before it serves.

    Of each class some, as far as there are any. The records are encoded again here: the answers are those that a
    client who sends such a record must get.
    """
    rows = _spread(data, split)
    encoder = Encoder(data.features)
    records = encoder.decode(data.matrix[rows])
    found = answer(model, encoder.encode(records), classifies=bool(data.classes))
    return Samples(
        records=records,
        labels=found.labels.tolist(),
        probabilities=[] if found.probabilities is None else found.probabilities.tolist(),
    )


def _spread(data: TrainingData, split: Split) -> list[int]:
    """Test rows, the classes in turn."""
    if not data.classes:
        return [int(row) for row in split.test[:_SAMPLES]]
    by_class = [split.test[data.target[split.test] == index] for index in range(len(data.classes))]
    turns = max((len(rows) for rows in by_class), default=0)
    spread = [int(rows[turn]) for turn in range(turns) for rows in by_class if turn < len(rows)]
    return spread[:_SAMPLES]


def _plain(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report with Python's own numbers, as JSON takes them."""
    plain: dict[str, Any] = {}
    for name, value in report.items():
        plain[name] = {key: float(number) for key, number in value.items()} if isinstance(value, dict) else float(value)
    return plain
