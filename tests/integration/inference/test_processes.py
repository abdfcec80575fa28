"""The process as it is started: several sharing a port, its settings, its end, and its metrics."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.local.servers import free_port
from tests.bundles import KEY, ROOT, Folder, Trained
from tests.integration.inference.test_predict import PENGUIN
from tests.waiting import wait_until


@contextmanager
def running(shared_dir: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process, with its port."""
    port = free_port(0)
    settings = {"SHARED_DIR": str(shared_dir), "ROOKERY_SIGNING_KEY": KEY.decode(), "INFERENCE_PORT": str(port)}
    child = subprocess.Popen(
        [sys.executable, "-m", "services.inference.main"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child, port
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)


def ask(port: int, path: str, body: Any = None) -> tuple[int, str]:
    """Status and text of an answer; 0 where nobody listens."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - our own address
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def process_of(port: int) -> str:
    """Which process answers: the beginning of its request ids."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as response:
        prefix: str = response.headers["X-Request-ID"].partition("-")[0]
        return prefix


def _with(seen: set[str], more: str) -> set[str]:
    """A set, with one more in it from now on."""
    seen.add(more)
    return seen


def test_two_processes_share_the_port(models: Folder, trained: dict[str, Trained], shared_dir: Path) -> None:
    """Both answer, their counts are added up, and one that is killed is replaced without the other failing."""
    models.publish(trained["small_forest"])
    with running(shared_dir, INFERENCE_WORKERS="2") as (parent, port):
        wait_until(lambda: ask(port, "/ready")[0] == 200, what="readiness", seconds=20)
        prefixes: set[str] = set()
        wait_until(lambda: len(_with(prefixes, process_of(port))) == 2, what="answers of both", seconds=20)
        children = psutil.Process(parent.pid).children()
        assert len(children) == 2
        # One may have no model yet: its refusals count apart.
        statuses = [ask(port, "/predict", {"records": [PENGUIN]})[0] for _ in range(60)]
        good = statuses.count(200)
        assert set(statuses) <= {200, 503}

        def counted() -> str:
            """The process that was asked, where it knows of all requests."""
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
                    text = response.read().decode()
                    prefix: str = response.headers["X-Request-ID"].partition("-")[0]
            except OSError:
                # The connection had been given to the process that was killed.
                return ""
            found = re.search(r'rookery_requests_total\{route="/predict",status="200"\} (\d+)', text)
            return prefix if found is not None and int(found[1]) == good else ""

        # Each has left its counts for the other: only then may one be killed without losing any.
        knowing: set[str] = set()
        wait_until(lambda: prefixes <= _with(knowing, counted()), what="the counts of both", seconds=20)
        children[0].kill()
        wait_until(lambda: len(psutil.Process(parent.pid).children()) == 2, what="a new process")
        assert parent.poll() is None
        wait_until(counted, what="the counts of the one that was killed")
    assert not any(child.is_running() for child in children)


def test_a_missing_key_is_one_line(shared_dir: Path) -> None:
    """Without a signing key it ends with 2 and says which variable is missing."""
    done = subprocess.run(
        [sys.executable, "-m", "services.inference.main"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SHARED_DIR": str(shared_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "ROOKERY_SIGNING_KEY" in done.stderr


def test_a_taken_port_is_one_line(shared_dir: Path) -> None:
    """Where another program has the port, it ends with 2 and says so."""
    with running(shared_dir) as (_, port):
        wait_until(lambda: ask(port, "/health")[0] == 200, what="the first one")
        with running(shared_dir, INFERENCE_PORT=str(port)) as (second, _):
            assert second.wait(timeout=20) == 2
            assert second.stderr is not None
            assert "INFERENCE_PORT" in second.stderr.readline()


@pytest.mark.parametrize("redis_url", ["", "redis://127.0.0.1:1/0"])
def test_without_redis_and_postgres(
    models: Folder, trained: dict[str, Trained], shared_dir: Path, redis_url: str
) -> None:
    """Predictions are answered with no database set and no Redis there, and heavy libraries stay out."""
    models.publish(trained["small_forest"])
    with running(shared_dir, REDIS_URL=redis_url) as (child, port):
        wait_until(lambda: ask(port, "/ready")[0] == 200, what="readiness", seconds=20)
        assert ask(port, "/predict", {"records": [PENGUIN]})[0] == 200
        maps = Path(f"/proc/{child.pid}/maps")
        if maps.exists():
            assert "sklearn" not in maps.read_text()


def test_loads_are_told_to_the_stream(
    models: Folder, trained: dict[str, Trained], shared_dir: Path, redis: str
) -> None:
    """With Redis set, loads and refusals appear in the stream of events."""
    from redis import Redis

    models.publish(trained["small_forest"], 1)
    with running(shared_dir, REDIS_URL=redis) as (_, port), Redis.from_url(redis, decode_responses=True) as client:
        wait_until(lambda: ask(port, "/ready")[0] == 200, what="readiness", seconds=20)
        models.point("random_forest", 2)

        def types() -> set[str]:
            entries: Any = client.xrange("rookery:events")
            return {fields["type"] for _, fields in entries}

        wait_until(lambda: types() == {"model.loaded", "model.rejected"}, what="both events")


def test_metrics_follow_the_conventions(models: Folder, trained: dict[str, Trained], shared_dir: Path) -> None:
    """Names end in their unit or _total, histograms are cumulative, and the text parses."""
    from prometheus_client.parser import text_string_to_metric_families

    models.publish(trained["small_forest"])
    with running(shared_dir) as (_, port):
        wait_until(lambda: ask(port, "/ready")[0] == 200, what="readiness", seconds=20)
        for count in (1, 2, 3):
            ask(port, "/predict", {"records": [PENGUIN] * count})
        families = {family.name: family for family in text_string_to_metric_families(ask(port, "/metrics")[1])}
    predictions = families["rookery_predictions"].samples
    assert [(sample.labels["class"], sample.value) for sample in predictions] == [("Adelie", 6.0)]
    latency = [
        sample.value
        for sample in families["rookery_request_duration_seconds"].samples
        if sample.name.endswith("_bucket") and sample.labels["route"] == "/predict"
    ]
    assert latency == sorted(latency)
    assert latency[-1] == 3
    assert {"rookery_model_age_seconds", "rookery_model_loads", "rookery_queue_records"} <= set(families)
