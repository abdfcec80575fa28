"""Specs that several tests begin with."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
PENGUINS = (ROOT / "shared" / "datasets" / "penguins.toml").read_text(encoding="utf-8")
PENGUINS_CSV = (ROOT / "shared" / "data" / "penguins.csv").read_text(encoding="utf-8")
SMALLEST = """
target = "price"
task = "regression"
[source]
kind = "csv"
path = "houses.csv"
[families.ridge]
estimator = "sklearn.linear_model.Ridge"
"""
HOUSES = (
    SMALLEST
    + """
[features]
numeric = ["rooms"]
categorical = ["town"]
"""
)
# Ways to break the penguins' spec: what is replaced, by what, the key that the error names, and a part of its words.
BROKEN = [
    ('task = "classification"', 'task = "clustering"', "task", "allowed: classification, regression"),
    ("folds = 3", 'folds = "three"', "split.folds", "Expected `int`, got `str`"),
    ("folds = 3", "fold = 3", "split.fold", "did you mean 'folds'?"),
    ('kind = "seaborn"', 'kind = "excel"', "source.kind", "allowed: seaborn, csv, parquet, sql"),
    ('missing = "drop"', 'missing = "keep"', "features.missing", "allowed: drop, impute"),
    ("test_size = 0.2", "test_size = 2", "split.test_size", "< 1.0"),
    ("sklearn.svm.SVC", "sklearn.svm.SCV", "families.svc.estimator", "did you mean sklearn.svm.SVC?"),
    ("sklearn.svm.SVC", "os.system", "families.svc.estimator", "not among the estimators allowed"),
    ("sklearn.svm.SVC", "sklearn.svm.SVR", "families.svc.estimator", "is for regression"),
    ("calibrated = true", "", "families.svc.calibrated", "set calibrated = true"),
    ('default_model = "random_forest"', 'default_model = "forest"', "default_model", "allowed: logistic_regression"),
    ("C = [0.1, 1, 10]", "C = []", "families.logistic_regression.grid.C", "empty list"),
    ("C = [0.1, 1, 10]", "C = 3", "families.logistic_regression.grid.C", "Expected `array`"),
    ("C = [0.1, 1, 10]", "max_iter = [1]", "families.logistic_regression.grid.max_iter", "also among params"),
    ('"island", "sex"', '"island", "species"', "features.categorical", "is the target"),
    ('"island", "sex"', '"island", "island"', "features.categorical", "named twice"),
    ('metric = "accuracy"', 'metric = "r2"', "metric", "no metric of a classification; allowed: accuracy"),
    ("scale = true   ", 'scale = "yes"', "families.logistic_regression.scale", "Expected `bool`"),
    ("[gate]", '[gate]\nmetric = "r2"', "gate.metric", "no metric of a classification"),
    ('target = "species"', "", "target", "is missing"),
]
