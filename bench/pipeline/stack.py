"""A whole stack of its own for a bench: `rookery up` on free ports, in a folder that is gone afterwards."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from common.database.engine import database_engine
from common.events.broker import make_app
from common.events.publisher import Publisher
from common.operations.runs import Stage, follow_run, trigger
from common.settings import Settings, load_settings
from services.local.home import Home
from services.local.servers import SYSTEM_FOLDER, free_port, instance_name
from services.local.surroundings import with_instance
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PORTS = ("INFERENCE_PORT", "CONSOLE_PORT", "FLOWER_PORT", "REDIS_PORT", "POSTGRES_PORT")
PATIENCE_S = 600


class Running:
    """One running stack."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.shared = folder / "shared"
        self._port = environment["INFERENCE_PORT"]
        self.settings: Settings = load_settings(with_instance(environment, Home.at(environment["ROOKERY_HOME"])))
        self._publisher = Publisher(make_app(self.settings, "bench"))

    def versions(self) -> dict[str, int]:
        """What is served."""
        with urlopen(f"http://127.0.0.1:{self._port}/models", timeout=30) as answer:
            return {model["name"]: model["version"] for model in json.load(answer)["models"]}

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
    folder = Path(tempfile.mkdtemp(prefix="rookery-bench-", dir=os.environ.get("BENCH_TMP", "/var/tmp")))  # noqa: S108
    folder.chmod(0o755)
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=shutil.ignore_patterns("versions", "*.pkl", "models"))
    (folder / "shared" / "models").mkdir()
    spec = folder / "shared" / "datasets" / "penguins.toml"
    spec.write_text(re.sub(r"(?m)^interval_s = \d+", "interval_s = 86400", spec.read_text()))
    taken: list[int] = []
    for _ in PORTS:
        taken.append(free_port(0, taken))
    environment = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}},
        **{name: str(port) for name, port in zip(PORTS, taken, strict=True)},
        "ROOKERY_HOME": str(folder / "home"),
        "SHARED_DIR": str(folder / "shared"),
        "TRAIN_PROCESSES": str(train_processes),
    }
    output = folder / "output.txt"
    with output.open("wb") as out:
        child = subprocess.Popen(
            [Path(sys.executable).parent / "rookery", "up"], cwd=folder, env=environment, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_until(lambda: "Ctrl-C stops everything" in output.read_text(), seconds=120, what="the stack")
        time.sleep(3)
        stack = Running(folder, environment)
        yield stack
        stack.close()
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=60)
        # As root, the database lies outside of a home that is closed to others.
        shutil.rmtree(SYSTEM_FOLDER / instance_name(folder / "home"), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
