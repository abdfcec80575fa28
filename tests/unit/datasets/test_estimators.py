"""The allow-list of estimators, held against scikit-learn itself."""

from importlib import import_module

import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.metrics import get_scorer_names

from common.datasets.estimators import ESTIMATORS, METRICS, Estimator


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=lambda estimator: estimator.path)
def test_an_allowed_estimator_is_what_the_list_says(estimator: Estimator) -> None:
    """It exists, has the task, can be fed in chunks or not, and has probabilities where the list says so."""
    module, _, name = estimator.path.rpartition(".")
    made = getattr(import_module(module), name)()
    assert is_classifier(made) == (estimator.task == "classification")
    assert is_regressor(made) == (estimator.task == "regression")
    assert hasattr(made, "partial_fit") == estimator.partial_fit
    assert hasattr(made, "predict_proba") >= estimator.probabilities


def test_every_metric_is_a_scorer() -> None:
    """The metrics that a spec may name are scorers of scikit-learn, for which greater is better."""
    assert {name for names in METRICS.values() for name in names} <= set(get_scorer_names())
