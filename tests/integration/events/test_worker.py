"""Real Celery workers on real Redis and PostgreSQL, with handlers that do nothing but pass on."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from common.events.topology import PARKED, queue_name
from common.settings import Settings
from tests.integration.events.chain import HANDLERS, HANGS
from tests.integration.events.conftest import Bench
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]


def start_worker(service: str, settings: Settings, log: Path, **more: str) -> subprocess.Popen[bytes]:
    """Starts a worker of a service; what it says goes to `log`."""
    environment = os.environ | {
        "SERVICE": service,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "LEASE_S": "2",
        "LOG_FORMAT": "json",
        **more,
    }
    with log.open("ab") as out:
        return subprocess.Popen(
            [
                sys.executable, "-m", "celery", "-A", "tests.integration.events.chain_worker:app", "worker",
                "-n", f"{service}@{os.getpid()}", "--concurrency", "1", "--loglevel", "INFO",
            ],
            cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip


def wait_for_line(log: Path, words: str) -> None:
    """Waits until a log says something."""
    wait_until(lambda: words in log.read_text(), seconds=30, what=f"{words!r} in {log.name}")


@pytest.fixture
def workers(settings: Settings, tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """One running worker per service."""
    with ExitStack() as stack:
        started = {}
        for service in HANDLERS:
            worker = start_worker(service, settings, tmp_path / f"{service}.log")
            stack.callback(worker.wait)
            stack.callback(worker.send_signal, signal.SIGKILL)
            started[service] = worker
        for service in HANDLERS:
            wait_for_line(tmp_path / f"{service}.log", " ready.")
        yield started
        for worker in started.values():
            assert worker.poll() is None, "a worker has died"
            worker.send_signal(signal.SIGTERM)


async def until_ended(bench: Bench, runs: int, *, seconds: float = 20) -> None:
    """Waits until so many runs are completed."""
    async with asyncio.timeout(seconds):
        while True:
            (row,) = await bench.rows("SELECT count(*) FILTER (WHERE state = 'completed') AS ended FROM rookery.runs")
            if row.ended == runs:
                return
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("workers")
async def test_workers_pass_a_request_along_the_chain(bench: Bench) -> None:
    """Ten requests end as ten completed runs, in real workers."""
    for number in range(10):
        await bench.ask(f"d{number}")
    await until_ended(bench, 10)


@pytest.mark.usefixtures("workers")
async def test_garbage_in_a_queue_is_parked_and_the_worker_lives(bench: Bench) -> None:
    """What is no event is kept with its bytes and the reason; the events around it are handled."""
    garbage = [
        b"", b"\x00\xff\xfe", b"{}", b"[]", b"null", b"1e999", b'{"body": "x"}', b"[" * 5000, b"{" * 100,
        msgspec.json.encode({"body": "!", "headers": {"task": "ingest.requested", "id": "no"}, "properties": {}}),
        msgspec.json.encode(
            {
                "body": base64.b64encode(b"[[], {}, {}]").decode(),
                "headers": {"task": "os.system", "id": "6f2d1c0e-9b7a-4b8e-8a55-5a3f0c7de9b1"},
                "properties": {"delivery_tag": "t", "delivery_info": {}, "body_encoding": "base64"},
                "content-type": "application/json",
                "content-encoding": "utf-8",
            }
        ),
    ]  # fmt: skip
    for number, piece in enumerate(garbage):
        await bench.redis.lpush(queue_name("ingest"), piece)
        await bench.ask(f"d{number}")
    await until_ended(bench, len(garbage))
    parked = [msgspec.json.decode(entry) for entry in await bench.redis.lrange(PARKED, 0, -1)]
    assert {base64.b64decode(entry["raw"]) for entry in parked} == set(garbage)
    assert all(entry["reason"] for entry in parked)


async def test_a_worker_that_stops_in_good_order_leaves_its_work_to_the_next(
    bench: Bench, settings: Settings, tmp_path: Path
) -> None:
    """SIGTERM ends a worker within seconds, and another one goes on with what waits."""
    with ExitStack() as stack:
        for number in range(2):
            log = tmp_path / f"{number}.log"
            worker = start_worker("ingest", settings, log)
            stack.callback(worker.wait)
            stack.callback(worker.send_signal, signal.SIGKILL)
            wait_for_line(log, " ready.")
            await bench.ask(f"d{number}")
            wait_for_line(log, "event handled")
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=10) == 0
    assert len(await bench.queued("preprocess")) == 2


async def test_work_that_hangs_is_ended_and_the_worker_goes_on(
    bench: Bench, settings: Settings, tmp_path: Path
) -> None:
    """What works past the limit is killed each time it is tried, ends as a dead letter, and holds up nothing else."""
    log = tmp_path / "ingest.log"
    with ExitStack() as stack:
        worker = start_worker("ingest", settings, log, WORK_TIME_LIMIT_S="1")
        stack.callback(worker.wait)
        stack.callback(worker.send_signal, signal.SIGKILL)
        wait_for_line(log, " ready.")
        hanging = await bench.ask(HANGS)
        async with asyncio.timeout(40):
            while not (dead := await bench.rows("SELECT error FROM rookery.events WHERE dead_at IS NOT NULL")):
                await bench.sweep()
                await asyncio.sleep(0.1)
        assert "process was gone after 1." in dead[0].error
        assert await bench.run_state(hanging.id) == ("failed", "failed")
        await bench.ask()
        wait_for_line(log, "event handled")
