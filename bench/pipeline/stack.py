"""A whole stack of its own for a bench: `rookery up` on free ports, in a folder that is gone afterwards."""

import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.folders import bench_folder
from common.database.engine import database_engine
from common.events.broker import make_app
from common.events.publisher import Publisher
from common.operations.runs import Stage, follow_run, trigger
from common.settings import Settings, load_settings
from services.local.home import Home
from services.local.servers import SYSTEM_FOLDER, instance_name
from services.local.surroundings import with_instance
from tests.e2e import stacks
from tests.e2e.stacks import copy_shared

ROOT = Path(__file__).parents[2]
PATIENCE_S = 600


class Running:
    """One running stack."""

    def __init__(self, started: stacks.Running) -> None:
        self.shared = started.folder / "shared"
        self.versions = started.versions
        self.settings: Settings = load_settings(with_instance(started.environment, Home.at(str(started.home))))
        self._publisher = Publisher(make_app(self.settings, "bench"))

    async def time_run(self, dataset: str, models: tuple[str, ...], *, stage: Stage = "ingest") -> float:
        """Seconds from the commit of a forced request until inference serves a new version of each model."""
        before = self.versions()
        async with database_engine(self.settings, "bench") as engine:
            async with engine.begin() as connection:
                run_id, due = await trigger(connection, dataset, requested_by="bench", force=True, stage=stage)
            began = time.perf_counter()
            self._publisher.publish(due)
            self._until(lambda: all(self.versions().get(name, 0) > before[name] for name in models), every_s=0.01)
            seconds = time.perf_counter() - began
            async for run in follow_run(engine, run_id):
                ended = run
            assert ended.state == "completed", ended.reason
        # Reports are drawn after a run; the next measurement must not share the cores with them.
        time.sleep(2.5)  # noqa: ASYNC251 - nothing else runs in this loop
        return seconds

    def wait_served(self, model: str) -> None:
        """Waits until a model is served for the first time."""
        self._until(lambda: model in self.versions(), every_s=0.2)
        time.sleep(4)

    def close(self) -> None:
        """Closes the connection to Redis."""
        self._publisher.close()

    @staticmethod
    def _until(look: Callable[[], bool], *, every_s: float) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not look():
            assert time.monotonic() < deadline, "not served in time"
            time.sleep(every_s)


@contextmanager
def running_stack(train_processes: int) -> Iterator[Running]:
    """Starts a stack with the built-in data set, which is looked at when asked alone, and ends it."""
    with bench_folder() as folder:
        copy_shared(folder)
        spec = folder / "shared" / "datasets" / "penguins.toml"
        spec.write_text(re.sub(r"(?m)^interval_s = \d+", "interval_s = 86400", spec.read_text()))
        started = stacks.Running(folder, TRAIN_PROCESSES=str(train_processes))
        try:
            started.wait_up()
            time.sleep(3)
            stack = Running(started)
            yield stack
            stack.close()
        finally:
            started.process.send_signal(signal.SIGTERM)
            started.process.wait(timeout=60)
            # As root, the database lies outside of a home that is closed to others.
            shutil.rmtree(SYSTEM_FOLDER / instance_name(started.home), ignore_errors=True)
