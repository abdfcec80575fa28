"""Where things are in the model folder, and which names are ours.

<model>.pkl -> versions/<model>/<version>/bundle.pkl    for people and `joblib.load`
versions/<model>/aliases.json                           what inference obeys
versions/<model>/<version>/                             bundle.pkl, predictor.npz, evaluation.npz, rows.npy,
                                                            manifest.json, report/
"""

import re
from pathlib import Path

BUNDLE = "bundle.pkl"
PREDICTOR = "predictor.npz"
EVALUATION = "evaluation.npz"
ROWS = "rows.npy"
MANIFEST = "manifest.json"
ALIASES = "aliases.json"
REPORT = "report"
VERSIONS = "versions"
# What is being written has such a name until its rename; readers pass over it and the sweep removes what is left.
TEMPORARY = ".tmp-"

# Bounds on what a reader accepts, so that a hostile folder costs bounded time and memory.
MANIFEST_LIMIT_BYTES = 16 * 2**20
ALIASES_LIMIT_BYTES = 2**20
FILE_LIMIT_BYTES = 2 * 2**30

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


def is_model_name(name: str) -> bool:
    """Tells whether a text can be a model's name: it becomes a folder's."""
    return _NAME.fullmatch(name) is not None


def version_number(name: str) -> int | None:
    """The version that a folder's name stands for; None for any other name."""
    return int(name) if _VERSION.fullmatch(name) else None


def model_dir(models_dir: Path, model: str) -> Path:
    """The folder of a model's versions."""
    return models_dir / VERSIONS / model


def version_dir(models_dir: Path, model: str, version: int) -> Path:
    """The folder of one version."""
    return model_dir(models_dir, model) / str(version)


def report_dir(models_dir: Path, model: str, version: int) -> Path:
    """The folder of a version's report."""
    return version_dir(models_dir, model, version) / REPORT


def live_link(models_dir: Path, model: str) -> Path:
    """The symlink to the live bundle."""
    return models_dir / f"{model}.pkl"
