"""Prediction processes that are started apart, as containers of one network are, and share one port."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local.servers import free_port
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
ASKED = 30


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of two processes that share nothing but it, the model folder and the folder of their counts."""
    port = free_port(20_000 + os.getpid() % 20_000)
    for name in ("figures", "shared/models"):
        (tmp_path / name).mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "SHARED_DIR": str(tmp_path / "shared"),
        "ROOKERY_SIGNING_KEY": "k" * 32,
        "INFERENCE_PORT": str(port),
        "INFERENCE_FIGURES_DIR": str(tmp_path / "figures"),
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "services.inference.main"],
            cwd=ROOT,
            env=environment | {"READY_FILE": str(tmp_path / f"{name}.ready")},
            stderr=subprocess.DEVNULL,
        )
        for name in ("one", "other")
    ]
    try:
        wait_until(lambda: len(list(tmp_path.glob("*.ready"))) == len(started), what="both work")
        wait_until(lambda: len(list((tmp_path / "figures").glob("*.figures"))) == len(started), what="both count")
        yield port
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(10)


def _read(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        text: str = answer.read().decode()
    return text


def test_two_processes_share_a_port_and_add_up_their_counts(port: int) -> None:
    """Whichever process is asked answers for both, also in its counts."""
    for _ in range(ASKED):
        _read(port, "/health")
    wanted = f'rookery_requests_total{{route="/health",status="200"}} {ASKED}.0'
    wait_until(lambda: wanted in _read(port, "/metrics"), what="the sum of both")
