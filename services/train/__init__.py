"""Searches, fits, judges and publishes models."""

import importlib


def preload() -> None:
    """Imports what takes seconds, in a worker's parent before the fork: its children share it. Imports only, no fit."""
    for name in (
        "sklearn.calibration",
        "sklearn.ensemble",
        "sklearn.linear_model",
        "sklearn.metrics",
        "sklearn.model_selection",
        "sklearn.pipeline",
        "sklearn.preprocessing",
        "sklearn.svm",
        "sklearn.tree",
        "joblib",
        "matplotlib.backends.backend_agg",
        "matplotlib.figure",
        "seaborn",
    ):
        importlib.import_module(name)
