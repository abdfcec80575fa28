"""The search on joblib's engines: on a real Dask cluster of two workers, and on loky's processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from common.bundles.reader import read_manifest
from common.datasets import DatasetSpec, parse_spec
from common.errors import DataError, RetryableError, RookeryError, is_retryable
from common.events.model import ModelPublished
from common.features import Floats
from common.settings import Settings
from services.local.servers import free_port
from services.train.engine import find_scores
from services.train.search import Score, search
from tests.integration.train.conftest import PENGUINS, ROOT, add_snapshot, penguins
from tests.integration.train.test_publishing import preprocessed, run
from tests.waiting import wait_until

SCRIPT = """
import json, sys
from distributed import Client
with Client(sys.argv[1], timeout=20) as client:
    print(json.dumps({"workers": client.run(lambda dask_worker: dask_worker.state.executed_count)}))
"""


def start(stack: ExitStack, log: Path, *words: str) -> None:
    """Starts a process of Dask, and ends it with the test."""
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", *words], stdout=out, stderr=out, cwd=log.parent)
    stack.callback(process.wait)
    stack.callback(process.kill)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with two workers of one thread each."""
    folder, port = tmp_path_factory.mktemp("dask"), free_port(0)
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        start(
            stack, folder / "scheduler", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port),
            "--no-dashboard", "--no-jupyter",
        )  # fmt: skip
        for number in range(2):
            start(
                stack, folder / f"worker{number}", "distributed.cli.dask_worker", address, "--nthreads", "1",
                "--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--local-directory", str(folder),
            )  # fmt: skip
        for number in range(2):
            log = folder / f"worker{number}"
            wait_until(lambda log=log: "Registered to" in log.read_text(), seconds=60, what=f"{log.name} of Dask")  # type: ignore[misc] # bound at once
        yield address


def executed(address: str) -> list[int]:
    """How many tasks each worker of the cluster has run."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, address], capture_output=True, text=True, check=True)
    counts: dict[str, dict[str, int]] = msgspec.json.decode(done.stdout)
    return list(counts["workers"].values())


def problem() -> tuple[DatasetSpec, Floats, Floats]:
    """The built-in data set's spec, and rows for it."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 7))
    return parse_spec("penguins", PENGUINS), matrix, (matrix[:, 0] > 0) + (matrix[:, 1] > 0).astype(float)


def without_seconds(scores: list[Score]) -> list[Score]:
    """The scores, without what differs from run to run."""
    return [msgspec.structs.replace(score, seconds=0.0) for score in scores]


async def test_dask_workers_share_a_training_and_the_version_is_the_same(
    engine: AsyncEngine, postgres: Settings, spec_file: Any, scheduler: str
) -> None:
    """A grid that would be cut into slices goes whole to Dask; both workers take part, and the scores are our own."""
    grid = "grid = { C = [0.001, 0.01, 0.1, 1, 10, 100], tol = [0.001, 0.0001, 0.00001] }"
    spec_file.write_text(spec_file.read_text().replace("grid = { C = [0.1, 1, 10] }", grid))
    await add_snapshot(engine, penguins())
    settings = msgspec.structs.replace(postgres, train_backend="dask", dask_address=scheduler)
    asked = await run(preprocessed(), engine, settings)
    (request,) = [event for event in asked if event.data.family == "logistic_regression"]
    assert request.data.slices == 1
    before = executed(scheduler)
    _, told = await run(request, engine, settings)
    assert isinstance(told, ModelPublished)
    assert all(more > less for more, less in zip(executed(scheduler), before, strict=True))
    await run(msgspec.structs.replace(request, id=preprocessed().id), engine, postgres)
    keys = postgres.signing_keys
    there, here = (read_manifest(postgres.models_dir, "logistic_regression", number, keys) for number in (1, 2))
    assert len(there.scores) == 18
    assert [score["folds"] for score in there.scores] == [score["folds"] for score in here.scores]
    assert there.best_params == here.best_params
    assert there.samples == here.samples


@pytest.mark.parametrize("family", ["svc", "random_forest"])
def test_loky_scores_as_one_process_does(family: str) -> None:
    """The scores are those of the search in one process, candidate by candidate and fold by fold."""
    spec, matrix, target = problem()
    entry = spec.families[family]
    found, _ = find_scores(Settings(train_backend="loky"), spec, entry, matrix, target)
    assert without_seconds(found) == without_seconds(search(spec, entry, matrix, target)[0])


def test_a_scheduler_that_does_not_answer_is_tried_again() -> None:
    """The error names the setting, and another attempt may succeed."""
    spec, matrix, target = problem()
    settings = Settings(train_backend="dask", dask_address=f"tcp://127.0.0.1:{free_port(0)}")
    with pytest.raises(RetryableError, match=r"DASK_ADDRESS=tcp://127\.0\.0\.1:\d+: no scheduler answers"):
        find_scores(settings, spec, spec.families["svc"], matrix, target)


ENDLESS = """
import msgspec
from common.settings import Settings
from services.train.engine import find_scores
from tests.integration.train.test_engines import problem
spec, matrix, target = problem()
entry = msgspec.structs.replace(spec.families["random_forest"], grid={"n_estimators": [100_000, 100_001]})
find_scores(Settings(train_backend="loky"), spec, entry, matrix, target)
"""


def test_a_training_that_is_killed_leaves_no_search_behind() -> None:
    """SIGKILL of the process that asked, as at the time limit, ends the search and the processes of its engine."""
    with subprocess.Popen([sys.executable, "-c", ENDLESS], cwd=ROOT) as asking:
        top = psutil.Process(asking.pid)
        wait_until(lambda: len(top.children(recursive=True)) >= 3, seconds=60, what="the engine's processes")
        started = top.children(recursive=True)
        asking.kill()
    wait_until(lambda: not any(process.is_running() for process in started), seconds=20, what="their end")


def test_what_the_search_refuses_is_the_same_error_as_here() -> None:
    """Data that do not fit are told as by the search in one process; neither they nor a defect are tried again."""
    spec, matrix, target = problem()
    settings = Settings(train_backend="loky")
    with pytest.raises(DataError, match="the search failed"):
        find_scores(settings, spec, spec.families["svc"], matrix, target[:10])
    entry = msgspec.structs.replace(spec.families["svc"], estimator="sklearn.svm.NoSuch")
    with pytest.raises(RookeryError, match="NoSuch") as raised:
        find_scores(settings, spec, entry, matrix, target)
    assert not is_retryable(raised.value)
