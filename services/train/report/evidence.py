"""What a report is drawn from: the manifest, the rows kept for it, and what the version answers for them."""

import io
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.bundles.layout import BUNDLE, EVALUATION
from common.bundles.manifest import Manifest
from common.features import Encoder, Feature, Floats
from common.predictors.arrays import unpack
from common.predictors.loading import PICKLE, load_predictor
from services.train.evaluation import Answers, answer, score

_REPEATS = 10
_IMPORTANCE_ROWS = 2_000


class Importance(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the metric is lost when a feature's values are shuffled among the test rows."""

    feature: str
    losses: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean loss."""
        return float(np.mean(self.losses))


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Rows as arrays, what the version answers for the test rows, and how it depends on its features."""

    manifest: Manifest
    train_matrix: Floats
    train_target: Floats
    test_matrix: Floats
    test_target: Floats
    found: Answers
    importance: tuple[Importance, ...]

    @property
    def classifies(self) -> bool:
        """Whether the target is a class."""
        return bool(self.manifest.classes)

    def training_records(self, most: int) -> list[dict[str, float | str]]:
        """Training rows as records, evenly taken where there are more than asked for."""
        rows = np.unique(np.linspace(0, len(self.train_matrix) - 1, most).astype(np.int64))
        return Encoder(self.manifest.features).decode(self.train_matrix[rows])

    def training_targets(self, most: int) -> Floats:
        """The targets of the same rows."""
        return self.train_target[np.unique(np.linspace(0, len(self.train_matrix) - 1, most).astype(np.int64))]


def gather(manifest: Manifest, files: Mapping[str, bytes]) -> Evidence:
    """Everything the report shows, computed from verified bytes."""
    rows = unpack(files[EVALUATION])
    predictor = _predictor(manifest, files)
    test_matrix, test_target = rows["test_matrix"], rows["test_target"]
    classifies = bool(manifest.classes)
    return Evidence(
        manifest=manifest,
        train_matrix=rows["train_matrix"],
        train_target=rows["train_target"],
        test_matrix=test_matrix,
        test_target=test_target,
        found=answer(predictor, test_matrix, classifies=classifies),
        importance=permutation_importance(predictor, manifest, test_matrix, test_target),
    )


def permutation_importance(
    predictor: Any, manifest: Manifest, matrix: Floats, target: Floats
) -> tuple[Importance, ...]:
    """The loss of accuracy (or r2) by feature, the greatest first (Breiman, "Random Forests", 2001, section 10).

    The indicators of a category are shuffled together: they are one feature.
    """
    matrix, target = matrix[:_IMPORTANCE_ROWS], target[:_IMPORTANCE_ROWS]
    metric = "accuracy" if manifest.classes else "r2"
    random = np.random.default_rng(0)

    def measured(rows: Floats) -> float:
        found = answer(predictor, rows, classifies=bool(manifest.classes))
        return score(metric, target, found, len(manifest.classes)) or 0.0

    base = measured(matrix)
    results = []
    for feature, columns in columns_of(manifest.features):
        losses = []
        for _ in range(_REPEATS):
            shuffled = matrix.copy()
            shuffled[:, columns] = matrix[random.permutation(len(matrix))][:, columns]
            losses.append(base - measured(shuffled))
        results.append(Importance(feature=feature.name, losses=tuple(losses)))
    return tuple(sorted(results, key=lambda result: -result.mean))


def columns_of(features: tuple[Feature, ...]) -> list[tuple[Feature, NDArray[np.int64]]]:
    """Each feature with the columns that a model sees of it."""
    found, position = [], 0
    for kind in ("numeric", "categorical"):
        for feature in features:
            if feature.kind == kind:
                width = 1 if kind == "numeric" else max(len(feature.levels) - 1, 0)
                found.append((feature, np.arange(position, position + width)))
                position += width
    return found


def _predictor(manifest: Manifest, files: Mapping[str, bytes]) -> Any:
    if manifest.predictor.kind != PICKLE:
        return load_predictor(files, manifest)
    import joblib

    return joblib.load(io.BytesIO(files[BUNDLE]))["model"]
