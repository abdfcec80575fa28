"""The scikit-learn estimators that a spec may name: an allow-list, so that a spec cannot import anything else.

Left out are meta-estimators (the pipeline, the search and the calibration are ours), estimators with a search of
their own (`...CV`), and those that cannot be trained on the encoding that Rookery makes.
"""

from typing import Literal

import msgspec

Task = Literal["classification", "regression"]


class Estimator(msgspec.Struct, frozen=True):
    """What a spec must know of an estimator without importing scikit-learn.

    `probabilities`: it has `predict_proba` whatever its parameters are; without, a classifier must be calibrated.
    `partial_fit`: it can be fed in chunks.
    """

    path: str
    task: Task
    probabilities: bool
    partial_fit: bool


_CLASSIFIERS = """
discriminant_analysis: LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis
ensemble: AdaBoostClassifier ExtraTreesClassifier GradientBoostingClassifier HistGradientBoostingClassifier
ensemble: RandomForestClassifier
gaussian_process: GaussianProcessClassifier
linear_model: LogisticRegression Perceptron RidgeClassifier SGDClassifier
naive_bayes: BernoulliNB ComplementNB GaussianNB MultinomialNB
neighbors: KNeighborsClassifier
neural_network: MLPClassifier
svm: LinearSVC NuSVC SVC
tree: DecisionTreeClassifier
"""
_REGRESSORS = """
ensemble: AdaBoostRegressor ExtraTreesRegressor GradientBoostingRegressor HistGradientBoostingRegressor
ensemble: RandomForestRegressor
gaussian_process: GaussianProcessRegressor
kernel_ridge: KernelRidge
linear_model: ARDRegression BayesianRidge ElasticNet GammaRegressor HuberRegressor Lars Lasso LassoLars
linear_model: LinearRegression PoissonRegressor QuantileRegressor Ridge SGDRegressor TheilSenRegressor TweedieRegressor
neighbors: KNeighborsRegressor
neural_network: MLPRegressor
svm: LinearSVR NuSVR SVR
tree: DecisionTreeRegressor
"""
# scikit-learn 1.9 deprecates SVC(probability=True); SGDClassifier has probabilities with some losses only.
_WITHOUT_PROBABILITIES = frozenset({"LinearSVC", "NuSVC", "Perceptron", "RidgeClassifier", "SGDClassifier", "SVC"})
_WITH_PARTIAL_FIT = frozenset(
    {
        "BernoulliNB",
        "ComplementNB",
        "GaussianNB",
        "MLPClassifier",
        "MLPRegressor",
        "MultinomialNB",
        "Perceptron",
        "SGDClassifier",
        "SGDRegressor",
    }
)


def _estimators(listing: str, task: Task) -> dict[str, Estimator]:
    found = {}
    for line in listing.split("\n"):
        module, _, names = line.partition(": ")
        for name in names.split():
            path = f"sklearn.{module}.{name}"
            found[path] = Estimator(
                path=path,
                task=task,
                probabilities=task == "classification" and name not in _WITHOUT_PROBABILITIES,
                partial_fit=name in _WITH_PARTIAL_FIT,
            )
    return found


ESTIMATORS = _estimators(_CLASSIFIERS, "classification") | _estimators(_REGRESSORS, "regression")

# scikit-learn's names of scorers; the greater, the better, for every one of them.
METRICS: dict[Task, tuple[str, ...]] = {
    "classification": (
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
        "f1_weighted",
        "matthews_corrcoef",
        "neg_log_loss",
        "precision_macro",
        "recall_macro",
        "roc_auc_ovr",
    ),
    "regression": (
        "r2",
        "explained_variance",
        "neg_mean_absolute_error",
        "neg_mean_squared_error",
        "neg_median_absolute_error",
        "neg_root_mean_squared_error",
    ),
}
