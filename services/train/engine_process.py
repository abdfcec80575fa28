"""The process that searches on an engine: `python -m services.train.engine_process FOLDER`; see engine.py."""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from common.errors import DataError, RetryableError, SettingsError, is_retryable
from services.train.engine import ANSWER, MATRIX, TARGET, TASK, Answer, Failure, Task
from services.train.search import search

CONNECT_S = 10


def main() -> None:
    """Searches, and leaves the answer in the folder."""
    folder = Path(sys.argv[1])
    threading.Thread(target=end_with_parent, args=(folder,), daemon=True).start()
    fresh = folder / f"{ANSWER}.new"
    fresh.write_bytes(msgspec.json.encode(answer(folder)))
    fresh.rename(folder / ANSWER)


def end_with_parent(folder: Path) -> None:
    """Ends this process and those it started once its parent is gone, also where that was killed; and the rows."""
    os.read(0, 1)
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGTERM)


def answer(folder: Path) -> Answer:
    """What the search found, or why it did not."""
    task = msgspec.json.decode((folder / TASK).read_bytes(), type=Task)
    matrix, target = (np.load(folder / name, allow_pickle=False) for name in (MATRIX, TARGET))
    try:
        with engine(task):
            scores, warnings = search(task.spec, task.family, matrix, target, task.slice, n_jobs=None)
    except Exception as error:  # noqa: BLE001 - told to the process that asked, which raises it again
        return Answer(error=str(error) or type(error).__name__, failure=kind_of(error))
    return Answer(scores=scores, warnings=warnings)


def kind_of(error: Exception) -> Failure:
    """Whose fault it is. What an engine itself raises, such as a worker that was lost, may pass."""
    if isinstance(error, DataError):
        return "data"
    if isinstance(error, SettingsError):
        return "settings"
    theirs = type(error).__module__.partition(".")[0] in {"distributed", "joblib"}
    return "engine" if theirs or is_retryable(error) else "defect"


@contextmanager
def engine(task: Task) -> Iterator[None]:
    """What scikit-learn starts in here runs on the engine, on all of its cores."""
    import joblib

    if task.backend == "loky":
        with joblib.parallel_config("loky", n_jobs=-1):
            yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise SettingsError("TRAIN_BACKEND=dask: distributed is not installed; pip install rookery[dask]") from error
    try:
        client: Any = Client(task.dask_address, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call] # Dask's own
    except (OSError, ValueError) as error:
        raise RetryableError(f"DASK_ADDRESS={task.dask_address}: no scheduler answers there: {error}") from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise RetryableError(f"DASK_ADDRESS={task.dask_address}: the scheduler has no workers")
        with joblib.parallel_config("dask", client=client, n_jobs=-1):
            yield


if __name__ == "__main__":
    main()
