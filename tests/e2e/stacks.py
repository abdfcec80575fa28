"""A whole stack as a person starts it, and the commands for it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil

from services.local.servers import free_port
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "rookery"
PORTS = ("INFERENCE_PORT", "CONSOLE_PORT", "FLOWER_PORT", "REDIS_PORT", "POSTGRES_PORT")


def copy_shared(folder: Path) -> None:
    """Copies `shared` into a folder, without models."""
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=shutil.ignore_patterns("versions", "*.pkl"))


class Running:
    """One stack: a process, its output, and the commands for it."""

    def __init__(self, folder: Path, *, start: bool = True, **given: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.output = folder / "output.txt"
        taken: list[int] = []
        for _ in PORTS:
            taken.append(free_port(0, taken))
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}},
            "ROOKERY_HOME": str(self.home),
            "SHARED_DIR": str(folder / "shared"),
            **{name: str(port) for name, port in zip(PORTS, taken, strict=True)},
            **given,
        }
        if start:
            self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [PROGRAM, "up"], cwd=self.folder, env=self.environment, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    def wait_up(self) -> str:
        """Waits for the end of the summary and returns all that was printed."""

        def printed() -> str:
            text = self.output.read_text()
            assert self.process.poll() is None, text
            return text if "Ctrl-C stops everything" in text else ""

        return wait_until(printed, seconds=90, what="the summary")

    def start_again(self) -> None:
        """Starts another `up` on the same home."""
        self.process = self._start()

    def rookery(self, *words: str, code: int = 0) -> str:
        """What a command prints; it must end with the code."""
        done = subprocess.run(
            [PROGRAM, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=90,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def get(self, path: str) -> Any:
        """What the API answers."""
        with urlopen(f"http://127.0.0.1:{self.environment['INFERENCE_PORT']}{path}", timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, body: Any) -> Any:
        """What the API answers to JSON."""
        request = Request(
            f"http://127.0.0.1:{self.environment['INFERENCE_PORT']}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=10) as answer:  # noqa: S310 - a server of this test
            return json.load(answer)

    def versions(self) -> dict[str, int]:
        """What is served."""
        return {model["name"]: model["version"] for model in self.get("/models")["models"]}

    def ready(self) -> set[str]:
        """The models that answer."""
        return {model["name"] for model in self.get("/models")["models"] if model["state"] == "ready"}

    def pids(self) -> dict[str, int]:
        """The supervised processes."""
        return {entry["name"]: entry["pid"] for entry in json.loads((self.home / "run" / "processes.json").read_text())}

    def members(self) -> list[psutil.Process]:
        """Every process that belongs to this stack."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]
