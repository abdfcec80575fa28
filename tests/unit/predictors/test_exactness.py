"""Predictors answer exactly as scikit-learn does."""

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification, make_regression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    ARDRegression,
    BayesianRidge,
    ElasticNet,
    HuberRegressor,
    LassoLars,
    LinearRegression,
    LogisticRegression,
    QuantileRegressor,
    Ridge,
    SGDClassifier,
    TheilSenRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from common.features import Floats
from common.predictors.arrays import pack
from common.predictors.forest import ForestPredictor, MaskTables, Walk
from common.predictors.loading import Predictor, from_bytes
from services.train.export import export

COLUMNS = 6


def calibrated(**options: Any) -> Any:
    """A scaled SVC with probabilities, as the search builds it."""
    return make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(**options), ensemble=False, cv=3))


CLASSIFIERS = {
    "logistic regression": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "unscaled logistic regression": lambda: LogisticRegression(max_iter=5000),
    "one against the rest": lambda: make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)),
    "discriminant analysis": lambda: make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()),
    "tree": lambda: DecisionTreeClassifier(random_state=0),
    "stump": lambda: DecisionTreeClassifier(max_depth=1),
    "forest": lambda: RandomForestClassifier(20, random_state=0),
    "forest of short trees": lambda: RandomForestClassifier(20, max_leaf_nodes=12, random_state=0),
    "forest of 64 leaves": lambda: RandomForestClassifier(5, max_leaf_nodes=64, bootstrap=False, random_state=0),
    "extra trees": lambda: ExtraTreesClassifier(20, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=15, random_state=0),
    "linear SVC": lambda: calibrated(kernel="linear"),
    "RBF SVC": lambda: calibrated(kernel="rbf", C=2.0),
    "RBF SVC with a gamma": lambda: calibrated(kernel="rbf", gamma=0.05),
}
REGRESSORS = {
    "automatic relevance": lambda: make_pipeline(StandardScaler(), ARDRegression()),
    "Bayesian ridge": lambda: make_pipeline(StandardScaler(), BayesianRidge()),
    "Huber": lambda: make_pipeline(StandardScaler(), HuberRegressor()),
    "least angles": lambda: make_pipeline(StandardScaler(), LassoLars(alpha=0.01)),
    "linear SVR": lambda: make_pipeline(StandardScaler(), LinearSVR()),
    "quantile": lambda: make_pipeline(StandardScaler(), QuantileRegressor(alpha=0.01)),
    "Theil-Sen": lambda: make_pipeline(StandardScaler(), TheilSenRegressor(random_state=0, max_subpopulation=50)),
    "linear": LinearRegression,
    "ridge": lambda: make_pipeline(StandardScaler(), Ridge()),
    "elastic net": lambda: make_pipeline(StandardScaler(), ElasticNet()),
    "tree": lambda: DecisionTreeRegressor(random_state=0),
    "forest": lambda: RandomForestRegressor(20, random_state=0),
    "boosting": lambda: GradientBoostingRegressor(n_estimators=20, random_state=0),
}


def predictor_of(model: Any) -> Predictor:
    """The predictor of a fitted model, by way of its file."""
    kind, arrays = export(model, COLUMNS)
    return from_bytes(kind, pack(arrays))


def rows_like(matrix: Floats) -> Floats:
    """Rows beyond those trained on: ordinary ones, extreme ones, and values that sit on trees' thresholds."""
    random = np.random.default_rng(1)
    ordinary = random.normal(size=(300, COLUMNS)) * matrix.std(0) * 2 + matrix.mean(0)
    midpoints = (matrix[:100] + matrix[1:101]) / 2
    extreme = np.vstack([np.full(COLUMNS, 1e30), np.full(COLUMNS, -1e30), np.zeros(COLUMNS), np.full(COLUMNS, -0.0)])
    return np.concatenate([matrix, ordinary, midpoints, extreme])


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifiers_answers_are_reproduced(name: str, classes: int) -> None:
    """Labels are equal and probabilities within 1e-9, for two and more classes, alone and in batches."""
    matrix, target = make_classification(
        400, COLUMNS, n_informative=4, n_classes=classes, flip_y=0.1, random_state=classes
    )
    matrix[:, 5] = (matrix[:, 5] > 0).astype(float)
    model = CLASSIFIERS[name]().fit(matrix, target)
    predictor, rows = predictor_of(model), rows_like(matrix)
    found = predictor.predict_proba(rows)
    assert np.abs(found - model.predict_proba(rows)).max() < 1e-9
    # At 1e30 scikit-learn's own labels and probabilities may part: sigmoids of several classes are 1 to the last bit.
    assert (predictor.predict(rows[:-4]) == model.predict(rows[:-4])).all()
    assert (predictor.predict(rows) == model.predict_proba(rows).argmax(axis=1)).all()
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-9
    alone = np.concatenate([predictor.predict_proba(rows[at : at + 1]) for at in range(40)])
    assert np.abs(alone - found[:40]).max() < 1e-12


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressors_answers_are_reproduced(name: str) -> None:
    """Numbers agree to 1e-9 of the largest."""
    matrix, target = make_regression(300, COLUMNS, noise=5.0, random_state=0)
    model = REGRESSORS[name]().fit(matrix, target)
    predictor, rows = predictor_of(model), rows_like(matrix)[:-4]
    expected = model.predict(rows)
    assert np.abs(predictor.predict(rows) - expected).max() < 1e-9 * np.abs(expected).max()


def test_forests_sum_in_scikit_learns_order() -> None:
    """Not a bit differs from scikit-learn's sums: a tie between classes is decided by their last digits."""
    matrix, target = make_classification(300, COLUMNS, n_informative=4, n_classes=3, flip_y=0.3, random_state=0)
    for leaves in (12, None):
        model = RandomForestClassifier(30, max_leaf_nodes=leaves, max_depth=6, random_state=0).fit(matrix, target)
        assert (predictor_of(model).predict_proba(matrix) == model.predict_proba(matrix)).all()


def test_masks_and_walking_find_the_same_leaves() -> None:
    """The two ways to find leaves agree; which is taken depends on the trees' size."""
    matrix, target = make_classification(300, COLUMNS, n_informative=4, random_state=0)
    small = predictor_of(RandomForestClassifier(10, max_leaf_nodes=30, random_state=0).fit(matrix, target))
    large = predictor_of(RandomForestClassifier(10, random_state=0).fit(np.tile(matrix, (1, 1)), target[::-1]))
    assert isinstance(small, ForestPredictor)
    assert isinstance(large, ForestPredictor)
    assert isinstance(small._leaves, MaskTables)
    assert isinstance(large._leaves, MaskTables | Walk)


def test_trees_without_a_split_answer_the_same_for_all() -> None:
    """A forest of single leaves is a forest."""
    matrix, target = make_regression(20, COLUMNS, random_state=0)
    model = RandomForestRegressor(3, min_samples_leaf=20, random_state=0).fit(matrix, target)
    assert np.abs(predictor_of(model).predict(matrix) - model.predict(matrix)).max() < 1e-9


def test_many_trees_at_once_from_many_threads() -> None:
    """A predictor holds no state: threads that share it get the answers of one that does not."""
    from concurrent.futures import ThreadPoolExecutor

    matrix, target = make_classification(300, COLUMNS, n_informative=4, n_classes=3, random_state=0)
    predictor = predictor_of(RandomForestClassifier(20, max_leaf_nodes=20, random_state=0).fit(matrix, target))
    expected = predictor.predict_proba(matrix)
    with ThreadPoolExecutor(4) as pool:
        assert all(
            (found == expected).all() for found in pool.map(lambda _: predictor.predict_proba(matrix), range(40))
        )
