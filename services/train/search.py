"""The search for a family's best parameters: pipelines, grids and slices of them, and the refit of the winner."""

import importlib
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from common.datasets import DatasetSpec, FamilySpec
from common.errors import DataError
from common.features import Floats

Params = dict[str, Any]

# A slice is worth an event of its own from so many candidates on.
_SLICE_CANDIDATES = 8
_CALIBRATION_FOLDS = 5


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate: its parameters, its scores by fold, and their mean; `place` is its number in the whole grid.

    None where it could not be fitted: JSON knows no NaN.
    """

    place: int
    params: Params
    folds: tuple[float | None, ...]
    mean: float | None
    seconds: float = 0.0


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted pipeline, what the search scored, and what scikit-learn complained of meanwhile."""

    model: Any
    best_params: Params
    scores: tuple[Score, ...]
    warnings: tuple[str, ...]


def candidates_of(family: FamilySpec) -> list[Params]:
    """Every combination of the grid, in scikit-learn's order; one without parameters where there is no grid."""
    from sklearn.model_selection import ParameterGrid

    return list(ParameterGrid(family.grid or {}))


def slice_count(candidates: int, processes: int) -> int:
    """How many events a grid is spread over: one for a small grid, at most twice the processes that share them."""
    return max(1, min(2 * processes, candidates // _SLICE_CANDIDATES))


def slice_of(candidates: Sequence[Params], index: int, slices: int) -> list[tuple[int, Params]]:
    """The candidates of one slice with their places in the grid: dealt out in turn, since neighbours cost alike."""
    return [(place, params) for place, params in enumerate(candidates) if place % slices == index]


def best_of(scores: Sequence[Score]) -> Score:
    """The best candidate; of equal ones the first in the grid, as GridSearchCV chooses. Raises DataError for none."""
    valid = [(score.mean, -score.place, score) for score in scores if score.mean is not None]
    if not valid:
        raise DataError("no candidate of the grid could be fitted")
    return max(valid, key=lambda entry: entry[:2])[2]


def build_pipeline(spec: DatasetSpec, family: FamilySpec, params: Mapping[str, Any], smallest_class: int) -> Any:
    """An unfitted pipeline of a family with these parameters.

    What decides at random gets the spec's `random_state`. An estimator without probabilities gets them from one sigmoid
    per class, fitted on out-of-fold decisions (scikit-learn's replacement of `SVC(probability=True)`); the label is
    then the most probable class, so the two cannot contradict each other.
    """
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    module, _, name = family.estimator.rpartition(".")
    kind = getattr(importlib.import_module(module), name)
    chosen = {**family.params, **params}
    if "random_state" in inspect.signature(kind).parameters:
        chosen.setdefault("random_state", spec.random_state)
    estimator = kind(**chosen)
    if family.calibrated:
        folds = max(2, min(_CALIBRATION_FOLDS, smallest_class))
        estimator = CalibratedClassifierCV(estimator, ensemble=False, cv=folds)
    steps = [("scale", StandardScaler())] if family.scale else []
    return Pipeline([*steps, ("model", estimator)])


def search(
    spec: DatasetSpec,
    family: FamilySpec,
    matrix: Floats,
    target: Floats,
    slice_: tuple[int, int] = (0, 1),
    *,
    n_jobs: int | None = 1,
) -> tuple[list[Score], list[str]]:
    """Scores the candidates of a slice by cross-validation; returns the scores and the warnings.

    As GridSearchCV(cv=folds) with the spec's metric does, in one process: parallel are events, not threads. With
    `n_jobs` None it runs on the engine that joblib is configured for (engine_process.py).
    """
    from sklearn.model_selection import GridSearchCV

    chosen = slice_of(candidates_of(family), *slice_)
    prefix = "model__estimator__" if family.calibrated else "model__"
    grid = [{prefix + name: [value] for name, value in params.items()} for _, params in chosen]
    smallest = _smallest_class(spec, target)
    # Of a class's rows, a fold's training part has at least this many.
    pipeline = build_pipeline(spec, family, {}, smallest * (spec.folds - 1) // spec.folds)
    searching = GridSearchCV(
        pipeline, grid or [{}], cv=spec.folds, scoring=spec.metric, n_jobs=n_jobs, refit=False, error_score=np.nan
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            searching.fit(matrix, answers(spec, target))
        except ValueError as error:
            raise DataError(f"the search failed: {_why(error)}") from error
    results = searching.cv_results_
    scores = [
        Score(
            place=place,
            params=params,
            folds=tuple(_number(results[f"split{fold}_test_score"][row]) for fold in range(spec.folds)),
            mean=_number(results["mean_test_score"][row]),
            seconds=round(float(results["mean_fit_time"][row] * spec.folds), 4),
        )
        for row, (place, params) in enumerate(chosen)
    ]
    return scores, _distinct(caught)


def refit(spec: DatasetSpec, family: FamilySpec, scores: Sequence[Score], matrix: Floats, target: Floats) -> Fit:
    """Fits the best candidate on all training rows."""
    best = best_of(scores)
    model = build_pipeline(spec, family, best.params, _smallest_class(spec, target))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(matrix, answers(spec, target))
    return Fit(model=model, best_params=best.params, scores=tuple(scores), warnings=tuple(_distinct(caught)))


def answers(spec: DatasetSpec, target: Floats) -> Any:
    """The target as estimators take it: integers for classes."""
    return target.astype(np.int64) if spec.task == "classification" else target


def _why(error: ValueError) -> str:
    """The cause in one line: where no candidate fits, scikit-learn appends the fits' tracebacks, which end with it."""
    lines = str(error).strip().splitlines()
    return f"{lines[0]} {lines[-1]}" if len(lines) > 1 else lines[0]


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _smallest_class(spec: DatasetSpec, target: Floats) -> int:
    return int(np.bincount(target.astype(np.int64)).min()) if spec.task == "classification" else len(target)


def _distinct(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """The first line of each different warning."""
    return list(dict.fromkeys(str(warning.message).strip().splitlines()[0] for warning in caught))[:20]
