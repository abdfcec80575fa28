"""Turns a fitted pipeline into the plain arrays of a predictor, where one of the kinds known here can hold it exactly.

`common.predictors` reads what is written here; formulas are those of scikit-learn 1.9, and publishing checks every
export against the model itself, so a later scikit-learn that computes otherwise costs speed, not correctness.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import RookeryError
from common.predictors import forest, linear
from common.predictors.links import Floats

Arrays = dict[str, NDArray[Any]]

# Their answers are a matrix product and a link.
_LINEAR = frozenset(
    {
        "ARDRegression",
        "BayesianRidge",
        "ElasticNet",
        "HuberRegressor",
        "Lars",
        "Lasso",
        "LassoLars",
        "LinearDiscriminantAnalysis",
        "LinearRegression",
        "LinearSVR",
        "LogisticRegression",
        "QuantileRegressor",
        "Ridge",
        "TheilSenRegressor",
    }
)
_SOFTMAX = frozenset({"LinearDiscriminantAnalysis", "LogisticRegression"})


class NoExportError(RookeryError):
    """No kind of predictor holds this estimator."""


def export(model: Any, columns: int) -> tuple[str, Arrays]:
    """The predictor's kind and arrays for a fitted estimator or pipeline over so many columns.

    Raises NoExportError, whose text says what is not supported.
    """
    scaler, estimator = _parts(model)
    mean, scale = _scaling(scaler, columns)
    name = type(estimator).__name__
    if name == "CalibratedClassifierCV":
        return "svc", _calibrated_svc(estimator, mean, scale)
    if name in _LINEAR or (name in {"SGDClassifier", "SGDRegressor"} and _sgd_is_linear(estimator)):
        return "linear", _linear(estimator, mean, scale)
    if scaler is not None:
        raise NoExportError("a scaler before trees")
    if name in {"DecisionTreeClassifier", "ExtraTreeClassifier", "DecisionTreeRegressor", "ExtraTreeRegressor"}:
        return "forest", _forest([estimator.tree_], 1.0, name.endswith("Classifier"), columns)
    if name in {"RandomForestClassifier", "ExtraTreesClassifier", "RandomForestRegressor", "ExtraTreesRegressor"}:
        trees = [tree.tree_ for tree in estimator.estimators_]
        return "forest", _forest(trees, float(len(trees)), name.endswith("Classifier"), columns)
    if name in {"GradientBoostingClassifier", "GradientBoostingRegressor"}:
        return "forest", _boosting(estimator, columns)
    raise NoExportError(f"no predictor for {name}")


def _parts(model: Any) -> tuple[Any, Any]:
    """The scaler (or None) and the estimator of a pipeline."""
    steps = [step for _, step in getattr(model, "steps", [("", model)]) if step != "passthrough"]
    if len(steps) == 1:
        return None, steps[0]
    if len(steps) == 2 and type(steps[0]).__name__ == "StandardScaler":  # noqa: PLR2004 - a scaler and an estimator
        return steps[0], steps[1]
    raise NoExportError(f"a pipeline of {', '.join(type(step).__name__ for step in steps)}")


def _scaling(scaler: Any, columns: int) -> tuple[Floats, Floats]:
    """Mean and scale of a scaler; those that change nothing where there is none."""
    mean = getattr(scaler, "mean_", None)
    scale = getattr(scaler, "scale_", None)
    return np.zeros(columns) if mean is None else mean, np.ones(columns) if scale is None else scale


def _linear(estimator: Any, mean: Floats, scale: Floats) -> Arrays:
    """Weights on unscaled columns: w . (x - mean) / scale + b = (w / scale) . x + (b - (w / scale) . mean)."""
    weights = np.atleast_2d(estimator.coef_) / scale
    intercept = np.atleast_1d(np.asarray(estimator.intercept_, dtype=np.float64)) - weights @ mean
    if not hasattr(estimator, "classes_"):
        link = "identity"
    elif len(estimator.classes_) == 2:  # noqa: PLR2004 - two classes have one score
        link = "logistic"
    else:
        link = "softmax" if type(estimator).__name__ in _SOFTMAX else "one_vs_rest"
    return {"weights": weights.T, "intercept": intercept, "link": np.array(linear.LINKS.index(link))}


def _sgd_is_linear(estimator: Any) -> bool:
    """Tells whether an SGD model's answer is a product and a link: any regressor, and the log-loss classifier."""
    return not hasattr(estimator, "classes_") or estimator.loss == "log_loss"


def _calibrated_svc(estimator: Any, mean: Floats, scale: Floats) -> Arrays:
    """The arrays of a calibrated SVC. Raises NoExportError for another estimator, kernel or calibration within."""
    if len(estimator.calibrated_classifiers_) != 1:
        raise NoExportError("calibration by an ensemble")
    inner = estimator.calibrated_classifiers_[0]
    svc = inner.estimator
    if type(svc).__name__ != "SVC":
        raise NoExportError(f"no predictor for a calibrated {type(svc).__name__}")
    if svc.kernel not in {"linear", "rbf"} or svc.decision_function_shape != "ovr":
        raise NoExportError(f"a calibrated SVC with kernel {svc.kernel}")
    if inner.method != "sigmoid" or svc.break_ties or not np.array_equal(svc.classes_, inner.classes):
        raise NoExportError(f"calibration by {inner.method}")
    weights = _pair_weights(svc)
    arrays: Arrays = {
        "mean": mean,
        "scale": scale,
        "pair_intercept": np.asarray(svc.intercept_, dtype=np.float64),
        "slope": np.array([calibrator.a_ for calibrator in inner.calibrators], dtype=np.float64),
        "offset": np.array([calibrator.b_ for calibrator in inner.calibrators], dtype=np.float64),
    }
    vectors = np.asarray(svc.support_vectors_, dtype=np.float64)
    if svc.kernel == "linear":
        return arrays | {"pair_weights": vectors.T @ weights}
    gamma = np.asarray(svc._gamma, dtype=np.float64).reshape(())  # noqa: SLF001 - what "scale" came to is told nowhere else
    return arrays | {"pair_weights": weights, "vectors": vectors, "gamma": gamma}


def _pair_weights(svc: Any) -> Floats:
    """`(n_vectors, n_pairs)` weights of the support vectors in each pair's decision.

    `dual_coef_` packs them: of a vector of class i, row j - 1 is its weight against class j > i, row j against j < i
    (https://scikit-learn.org/stable/modules/svm.html#multi-class-classification).
    """
    ends = np.cumsum(svc.n_support_)
    starts = ends - svc.n_support_
    dual = np.asarray(svc.dual_coef_, dtype=np.float64)
    pairs = [(i, j) for i in range(len(ends)) for j in range(i + 1, len(ends))]
    weights = np.zeros((dual.shape[1], len(pairs)))
    for index, (i, j) in enumerate(pairs):
        weights[starts[i] : ends[i], index] = dual[j - 1, starts[i] : ends[i]]
        weights[starts[j] : ends[j], index] = dual[i, starts[j] : ends[j]]
    return weights


def _forest(trees: list[Any], divisor: float, classifies: bool, columns: int) -> Arrays:
    """The arrays of trees whose answers are averaged."""
    arrays = _nodes([(tree, tree.value[:, 0, :]) for tree in trees], columns)
    outputs = arrays["value"].shape[1]
    return arrays | _ending(np.zeros(outputs), divisor, "mean" if classifies else "identity")


def _boosting(estimator: Any, columns: int) -> Arrays:
    """The arrays of gradient boosting: what it begins with, and each tree's share of one output."""
    outputs = estimator.estimators_.shape[1]
    if estimator.init is not None and estimator.init != "zero":
        raise NoExportError("gradient boosting that begins with an estimator of its own")
    start = estimator._raw_predict_init(np.zeros((1, columns)))[0]  # noqa: SLF001 - the constant is told nowhere else
    parts = []
    for stage in estimator.estimators_:
        for output, tree in enumerate(stage):
            value = np.zeros((tree.tree_.node_count, outputs))
            value[:, output] = estimator.learning_rate * tree.tree_.value[:, 0, 0]
            parts.append((tree.tree_, value))
    several = "logistic" if outputs == 1 else "softmax"
    link = several if hasattr(estimator, "classes_") else "identity"
    return _nodes(parts, columns) | _ending(start, 1.0, link)


def _ending(start: Floats, divisor: float, link: str) -> Arrays:
    return {
        "start": np.asarray(start, dtype=np.float64),
        "divisor": np.array(divisor),
        "link": np.array(forest.LINKS.index(link)),
    }


def _nodes(trees: list[tuple[Any, Floats]], columns: int) -> Arrays:
    """The nodes of all trees, each tree in preorder, its root where `roots` says."""
    features, thresholds, rights, values, roots = [], [], [], [], []
    count = 0
    for tree, value in trees:
        order, right = _preorder(tree)
        feature = np.where(tree.children_left[order] < 0, -1, tree.feature[order])
        features.append(feature)
        thresholds.append(np.where(feature < 0, 0.0, tree.threshold[order]))
        rights.append(np.where(feature < 0, -1, right + count))
        values.append(value[order])
        roots.append(count)
        count += len(order)
    return {
        "feature": np.concatenate(features),
        "threshold": np.concatenate(thresholds),
        "right": np.concatenate(rights),
        "value": np.concatenate(values),
        "roots": np.array(roots),
        "columns": np.array(columns),
    }


def _preorder(tree: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A tree's node numbers in preorder, and where in that order each one's right child is."""
    order: list[int] = []
    pending = [0]
    while pending:
        node = pending.pop()
        order.append(node)
        if tree.children_left[node] >= 0:
            pending += [int(tree.children_right[node]), int(tree.children_left[node])]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    numbers = np.array(order, dtype=np.int64)
    return numbers, place[tree.children_right[numbers]]
