"""The search on an engine of joblib's: `loky`'s processes on this machine, or a Dask cluster.

It runs in a plain process, not in the worker's child: a child of Celery's may have no children of its own. Rows go
there as .npy files, scores come back as JSON.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from common.datasets import DatasetSpec, FamilySpec
from common.errors import DataError, RetryableError, RookeryError, SettingsError
from common.features import Floats
from common.settings import Settings
from services.train.search import Score, search

TASK, MATRIX, TARGET, ANSWER, ERRORS = "task.json", "matrix.npy", "target.npy", "answer.json", "errors.txt"
Failure = Literal["data", "settings", "engine", "defect"]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to search, and on what."""

    spec: DatasetSpec
    family: FamilySpec
    slice: tuple[int, int]
    backend: str
    dask_address: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What it found: scores and warnings, or why there are none and what kind of an error that is."""

    scores: list[Score] = []
    warnings: list[str] = []
    error: str = ""
    failure: Failure | None = None


_FAILURES: Mapping[Failure, type[RookeryError]] = {
    "data": DataError,
    "settings": SettingsError,
    "engine": RetryableError,
    "defect": RookeryError,
}


def find_scores(
    settings: Settings,
    spec: DatasetSpec,
    family: FamilySpec,
    matrix: Floats,
    target: Floats,
    *,
    slice_: tuple[int, int] = (0, 1),
) -> tuple[list[Score], list[str]]:
    """Scores a slice's candidates where the settings say: in this process, or on an engine. Blocks."""
    if not settings.train_backend:
        return search(spec, family, matrix, target, slice_)
    task = Task(
        spec=spec, family=family, slice=slice_, backend=settings.train_backend, dask_address=settings.dask_address
    )
    with tempfile.TemporaryDirectory(prefix="rookery-search-") as name:
        folder = Path(name)
        (folder / TASK).write_bytes(msgspec.json.encode(task))
        np.save(folder / MATRIX, matrix, allow_pickle=False)
        np.save(folder / TARGET, target, allow_pickle=False)
        answer = _ask(folder)
    if answer.failure is not None:
        raise _FAILURES[answer.failure](answer.error)
    return answer.scores, answer.warnings


def _ask(folder: Path) -> Answer:
    """Runs the process. It ends, with all that it started, when its standard input does: with this process."""
    words = [sys.executable, "-m", "services.train.engine_process", str(folder)]
    with (
        (folder / ERRORS).open("wb") as errors,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=errors, stderr=errors, start_new_session=True) as process,
    ):
        code = process.wait()
    if not (folder / ANSWER).exists():
        said = (folder / ERRORS).read_text(errors="replace").strip().splitlines()[-1:]
        raise RetryableError(f"the search's process ended with {code}: {''.join(said) or 'it said nothing'}")
    return msgspec.json.decode((folder / ANSWER).read_bytes(), type=Answer)
