"""Grids, slices, pipelines and splits."""

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV, train_test_split

from common.datasets import DatasetSpec, parse_spec
from common.errors import DataError
from common.features import Feature
from services.train.dataset import TrainingData, row_hashes, split_rows
from services.train.search import Score, best_of, build_pipeline, candidates_of, refit, search, slice_count, slice_of

SPEC = """
target = "y"
task = "classification"
[source]
kind = "csv"
path = "x.csv"
[features]
numeric = ["a", "b", "c", "d"]
[families.lr]
estimator = "sklearn.linear_model.LogisticRegression"
grid = { C = [0.01, 1.0] }
scale = true
[families.svc]
estimator = "sklearn.svm.SVC"
grid = { C = [0.1, 1.0], kernel = ["linear", "rbf"] }
calibrated = true
[families.plain]
estimator = "sklearn.naive_bayes.GaussianNB"
[families.impossible]
estimator = "sklearn.linear_model.LogisticRegression"
grid = { C = [-1.0, 1.0] }
"""


def spec() -> DatasetSpec:
    """A data set of four numbers."""
    return parse_spec("small", SPEC)


def data(rows: int = 200, **options: Any) -> TrainingData:
    """Rows of three classes."""
    matrix, target = make_classification(
        rows, 4, n_informative=3, n_redundant=0, n_classes=3, n_clusters_per_class=1, random_state=0, **options
    )
    return TrainingData(
        snapshot=1,
        digest="d",
        features=tuple(Feature(name, "numeric") for name in "abcd"),
        classes=("x", "y", "z"),
        matrix=matrix,
        target=target.astype(float),
        rows=rows,
    )


@given(st.integers(1, 200), st.integers(1, 16))
def test_slices_share_out_the_grid(candidates: int, processes: int) -> None:
    """Every candidate is in exactly one slice, and no slice is empty."""
    grid = [{"x": number} for number in range(candidates)]
    slices = slice_count(candidates, processes)
    parts = [slice_of(grid, index, slices) for index in range(slices)]
    assert Counter(place for part in parts for place, _ in part) == Counter(range(candidates))
    assert all(parts)
    assert slices <= 2 * processes


def test_a_small_grid_is_one_event() -> None:
    """Up to 15 candidates are not worth a second event."""
    assert [slice_count(count, 2) for count in (1, 4, 15, 16, 100)] == [1, 1, 1, 2, 4]


def test_the_best_is_chosen_as_scikit_learn_does() -> None:
    """Of equal scores the first in the grid; what could not be fitted is passed over; nothing left is a DataError."""
    scores = [Score(place=place, params={}, folds=(), mean=mean) for place, mean in ((2, 0.9), (1, 0.9), (0, None))]
    assert best_of(scores).place == 1
    with pytest.raises(DataError):
        best_of(scores[2:])


@pytest.mark.parametrize("family", ["lr", "svc", "plain"])
def test_the_search_is_grid_search_cv(family: str) -> None:
    """Scores and winner are those of GridSearchCV over the whole grid, also when it was searched in slices."""
    described, rows = spec(), data()
    entry = described.families[family]
    found = (
        [
            score
            for index in range(2)
            for score in search(described, entry, rows.matrix, rows.target, (index, 2))[0]
            if slice_of(candidates_of(entry), index, 2)
        ]
        if len(candidates_of(entry)) > 1
        else search(described, entry, rows.matrix, rows.target)[0]
    )
    prefix = "model__estimator__" if entry.calibrated else "model__"
    reference = GridSearchCV(
        build_pipeline(described, entry, {}, 40), {prefix + name: values for name, values in entry.grid.items()}, cv=3
    ).fit(rows.matrix, rows.target.astype(int))
    means = [score.mean for score in sorted(found, key=lambda score: score.place)]
    assert means == pytest.approx(list(reference.cv_results_["mean_test_score"]), abs=0)
    fit = refit(described, entry, found, rows.matrix, rows.target)
    assert {prefix + name: value for name, value in fit.best_params.items()} == reference.best_params_
    assert (fit.model.predict(rows.matrix) == reference.predict(rows.matrix)).all()


def test_a_candidate_that_cannot_be_fitted_is_passed_over() -> None:
    """A wrong value in a grid costs that candidate alone, and is told as a warning."""
    described, rows = spec(), data()
    scores, noted = search(described, described.families["impossible"], rows.matrix, rows.target)
    assert [score.mean is None for score in scores] == [True, False]
    assert noted


def test_a_search_in_which_nothing_fits_says_why() -> None:
    """The error is the cause that the estimator named, not only that the fits failed."""
    described, rows = spec(), data()
    entry = msgspec.structs.replace(described.families["impossible"], grid={"C": [-1.0]})
    with pytest.raises(DataError, match=r"All the 3 fits failed.* The 'C' parameter of LogisticRegression must be"):
        search(described, entry, rows.matrix, rows.target)


def test_labels_and_probabilities_of_an_svc_agree() -> None:
    """The label is always the most probable class."""
    described, rows = spec(), data(flip_y=0.3)
    entry = described.families["svc"]
    fit = refit(described, entry, search(described, entry, rows.matrix, rows.target)[0], rows.matrix, rows.target)
    assert (fit.model.predict(rows.matrix) == fit.model.predict_proba(rows.matrix).argmax(axis=1)).all()


def test_the_split_is_scikit_learns() -> None:
    """Rows are split as `train_test_split(test_size=0.2, random_state=42)` splits them."""
    split = split_rows(data(), spec())
    train, test = train_test_split(np.arange(200), test_size=0.2, random_state=42)
    assert (split.train.tolist(), split.test.tolist()) == (train.tolist(), test.tolist())


def test_no_class_is_missing_from_the_training_part() -> None:
    """A rare class that the plain split would put aside altogether is trained on."""
    rows = data(300)
    target = np.zeros(300)
    target[:150] = 1.0
    _, aside = train_test_split(np.arange(300), test_size=0.2, random_state=42)
    target[aside[:4]] = 2.0
    rare = TrainingData(**{name: getattr(rows, name) for name in rows.__struct_fields__} | {"target": target})
    split = split_rows(rare, spec())
    assert set(target[split.train]) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize("rows", [1, 5])
def test_too_few_rows_are_a_data_error(rows: int) -> None:
    """What cannot be folded is refused with a reason."""
    whole = data()
    few = {"matrix": whole.matrix[:rows], "target": whole.target[:rows]}
    with pytest.raises(DataError, match="too few"):
        split_rows(TrainingData(**{name: getattr(whole, name) for name in whole.__struct_fields__} | few), spec())


def test_a_rare_class_is_a_data_error() -> None:
    """A class with fewer rows than folds is named with its count."""
    whole = data()
    target = np.where(whole.target == 2, 0.0, whole.target)
    target[:2] = 2.0
    with pytest.raises(DataError, match=r"z \(2\)"):
        split_rows(
            TrainingData(**{name: getattr(whole, name) for name in whole.__struct_fields__} | {"target": target}),
            spec(),
        )


def test_rows_are_told_apart_by_their_hashes() -> None:
    """Equal rows have equal hashes, different ones (in any column, or the target) different ones."""
    matrix = np.random.default_rng(0).normal(size=(20_000, 5)).round(2)
    target = (np.arange(20_000) % 3).astype(np.float64)
    distinct = len(np.unique(np.column_stack([matrix, target]), axis=0))
    assert len(np.unique(row_hashes(matrix, target))) == distinct
    assert (row_hashes(matrix[5:6], target[5:6]) == row_hashes(matrix, target)[5]).all()
    assert row_hashes(np.array([[0.0]]), np.array([1.0])) == row_hashes(np.array([[-0.0]]), np.array([1.0]))
