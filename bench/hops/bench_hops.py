"""What a hop costs: three events with no work in them, against three tasks of bare Celery in the same run.

`make bench-hops` runs it. Figures: milliseconds from asking until the third handler's event is committed as handled
(Rookery), or until the third task runs (bare Celery). One at a time, idle otherwise, workers warm.
"""

import asyncio
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import redis.asyncio
from sqlalchemy import text

from common.database.engine import database_engine
from common.events.broker import make_app
from common.events.publisher import Publisher
from common.operations.runs import trigger
from common.settings import Settings
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results" / "hops.json"
ROUNDS = 200
HOPS = ("ingest.requested", "dataset.ingested", "dataset.preprocessed")


def start(stack: ExitStack, log: Path, words: list[str], **environment: str) -> None:
    """Starts a worker and waits until it is ready."""
    with log.open("ab") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", *words], cwd=ROOT, env=os.environ | environment, stdout=out, stderr=out
        )
    stack.callback(worker.wait)
    stack.callback(worker.send_signal, signal.SIGKILL)
    wait_until(lambda: " ready." in log.read_text(), seconds=60, what=f"{log.name}: ready")


async def rookery(settings: Settings) -> list[float]:
    """Milliseconds per round of Rookery's three hops."""
    took = []
    publisher = Publisher(make_app(settings, "bench"))
    async with database_engine(settings, "bench") as engine:
        for number in range(ROUNDS + 10):
            began = time.time()
            async with engine.begin() as connection:
                run_id, due = await trigger(connection, f"d{number}", requested_by="bench", force=True)
            await asyncio.to_thread(publisher.publish, due)
            ended = await _until(lambda run_id=run_id: _handled(engine, run_id))  # type: ignore[misc] # bound at once
            took.append((ended - began) * 1000)
            await asyncio.sleep(0.05)
    publisher.close()
    return took[10:]


async def _handled(engine: Any, run_id: Any) -> float | None:
    """When the third hop's event was handled."""
    async with engine.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT extract(epoch FROM handled_at)::float8 FROM rookery.events"
                " WHERE correlationid = :run AND type = :last AND handled_at IS NOT NULL"
            ),
            {"run": run_id, "last": HOPS[-1]},
        )
        moment: float | None = found.scalar()
        return moment


async def bare(url: str) -> list[float]:
    """Milliseconds per round of bare Celery's three hops."""
    from bench.hops.bare_worker import app

    took = []
    async with redis.asyncio.Redis.from_url(url) as client:
        for _ in range(ROUNDS + 10):
            app.send_task("bare.step", args=(1, time.time()), queue="bare.1")
            entry: Any = await client.brpop(["bare:took"], timeout=10)
            took.append(float(entry[1]) * 1000)
            await asyncio.sleep(0.05)
    return took[10:]


async def _until(look: Callable[[], Any]) -> Any:
    async with asyncio.timeout(30):
        while (found := await look()) is None:  # noqa: ASYNC110 - what is awaited happens in another process
            await asyncio.sleep(0.005)
        return found


def figures(took: list[float]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds."""
    return {"median_ms": round(statistics.median(took), 2), "p95_ms": round(statistics.quantiles(took, n=20)[-1], 2)}


def test_hops(settings: Settings, tmp_path: Path, monkeypatch: Any) -> None:
    """Three hops take at most 50 ms in the median."""
    monkeypatch.setenv("REDIS_URL", settings.redis)
    environment = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis}
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        for service in ("ingest", "preprocess", "train"):
            words = ["-A", "tests.integration.events.chain_worker:app", "worker", "-n", f"{service}@bench", "-c", "1"]
            start(stack, tmp_path / service, [*words, "--loglevel", "INFO"], SERVICE=service, **environment)
        ours = figures(asyncio.run(rookery(settings)))
    with ExitStack() as stack:
        for step in ("1", "2", "3"):
            words = ["-A", "bench.hops.bare_worker:app", "worker", "-n", f"bare{step}@bench", "-c", "1"]
            start(stack, tmp_path / f"bare{step}", [*words, "--loglevel", "INFO"], STEP=step, **environment)
        theirs = figures(asyncio.run(bare(settings.redis)))
    result = {
        "hops": len(HOPS),
        "rounds": ROUNDS,
        "rookery": ours,
        "bare_celery": theirs,
        "ratio_of_medians": round(ours["median_ms"] / theirs["median_ms"], 2),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
            "load_1_min": round(load, 2),
        },
        "measured_on": time.strftime("%Y-%m-%d"),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print("\n" + json.dumps(result, indent=1))
    assert ours["median_ms"] <= 50
