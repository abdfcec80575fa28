"""What a person would write instead: one script that fits the three models of the built-in data set.

`python plain.py FILE.csv FOLDER` prints the seconds it took, without the imports.
"""

import sys
import time
from pathlib import Path

import joblib
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.svm import SVC

SVC_CALIBRATED = CalibratedClassifierCV(SVC(random_state=42), ensemble=False, cv=5)
SEARCHES = {
    "logistic_regression": (
        Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(max_iter=1000, random_state=42))]),
        {"model__C": [0.1, 1, 10]},
    ),
    "random_forest": (
        Pipeline([("model", RandomForestClassifier(random_state=42))]),
        {"model__n_estimators": [50, 100]},
    ),
    "svc": (
        Pipeline([("scale", StandardScaler()), ("model", SVC_CALIBRATED)]),
        {"model__estimator__C": [0.1, 1], "model__estimator__kernel": ["linear", "rbf"]},
    ),
}

began = time.perf_counter()
frame = pd.read_csv(sys.argv[1]).dropna()
target = LabelEncoder().fit_transform(frame["species"])
matrix = pd.get_dummies(frame.drop(columns="species"), columns=["island", "sex"], drop_first=True).to_numpy(float)
x_train, x_test, y_train, y_test = train_test_split(matrix, target, test_size=0.2, random_state=42)
for name, (pipeline, grid) in SEARCHES.items():
    search = GridSearchCV(pipeline, grid, cv=3, scoring="accuracy").fit(x_train, y_train)
    assert search.score(x_test, y_test) > 0.9, name
    joblib.dump(search.best_estimator_, Path(sys.argv[2]) / f"{name}.joblib")
print(time.perf_counter() - began)
