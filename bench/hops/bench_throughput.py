"""How many events a second one PostgreSQL and one Redis carry through the runtime, and what an event costs each.

Runs of seven events without work in them (request, ingested, preprocessed, two trainings, two publications) are asked
for all at once, and three workers of one and of two processes each handle them. On one machine the workers take most of
the processors; so the processor time that the two servers took is told too: it bounds a pair that has a machine of
its own.
"""

import asyncio
import json
import os
import platform
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis.asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.hops.bench_hops import ROOT, start
from common.database.engine import database_engine
from common.events.broker import make_app
from common.events.publisher import Publisher
from common.operations.runs import trigger
from common.settings import Settings

RESULTS = ROOT / "bench" / "results" / "throughput.json"
RUNS, EVENTS_PER_RUN = 200, 7
PROCESSES = (1, 2)
WORKERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^rookery-(ingest|preprocess|train)-'"
HANDLED = "SELECT count(handled_at), extract(epoch FROM max(handled_at))::float8 FROM rookery.events"


async def carry(settings: Settings, mark: str) -> dict[str, float]:
    """Asks for the runs and waits for their last event; figures of what it took."""
    publisher = Publisher(make_app(settings, "bench"))
    async with database_engine(settings, "bench") as engine, redis.asyncio.Redis.from_url(settings.redis) as client:
        due = []
        async with engine.begin() as connection:
            before_events = await connection.scalar(text("SELECT count(*) FROM rookery.events"))
            for number in range(RUNS):
                _, asked = await trigger(connection, f"{mark}{number}", requested_by="bench", force=True)
                due.append(asked)
        postgres_s, redis_s = await _postgres_s(engine), await _redis_s(client)
        began = time.time()
        for asked in due:
            await asyncio.to_thread(publisher.publish, asked)
        wanted = int(before_events or 0) + RUNS * EVENTS_PER_RUN
        async with asyncio.timeout(240), engine.connect() as connection:
            handled = 0
            while handled < wanted:
                await asyncio.sleep(0.2)
                handled, last = (await connection.execute(text(HANDLED))).one()
                await connection.rollback()
            connections = await connection.scalar(text(WORKERS))
        events = RUNS * EVENTS_PER_RUN
        figures = {
            "events": events,
            "events_per_s": round(events / (last - began)),
            "postgres_ms_per_event": round((await _postgres_s(engine) - postgres_s) / events * 1000, 3),
            "connections_of_workers": int(connections or 0),
            "redis_ms_per_event": round((await _redis_s(client) - redis_s) / events * 1000, 3),
        }
    publisher.close()
    return figures


async def _postgres_s(engine: AsyncEngine) -> float:
    """Seconds of processor that the server has taken, its ended processes included."""
    async with engine.connect() as connection:
        own = psutil.Process(int(await connection.scalar(text("SELECT pg_backend_pid()")) or 0))
    server = own.parent()
    assert server is not None
    times = server.cpu_times()
    total = float(times.user + times.system + times.children_user + times.children_system)
    for child in server.children():
        if child.is_running():
            total += sum(child.cpu_times()[:2])
    return total


async def _redis_s(client: Any) -> float:
    """Seconds of processor that Redis has taken."""
    found = await client.info("cpu")
    return float(found["used_cpu_user"] + found["used_cpu_sys"])


@pytest.mark.timeout(900)
def test_throughput(settings: Settings, tmp_path: Path) -> None:
    """Every event of every run is handled, with any number of processes; the figures are written."""
    environment = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis}
    load, found = os.getloadavg()[0], {}
    for processes in PROCESSES:
        with ExitStack() as stack:
            for service in ("ingest", "preprocess", "train"):
                name = f"{service}{processes}"
                words = ["-A", "tests.integration.events.chain_worker:app", "worker", "-n", f"{name}@bench"]
                words += ["-c", str(processes)]
                start(stack, tmp_path / name, [*words, "--loglevel", "INFO"], SERVICE=service, **environment)
            found[processes] = asyncio.run(carry(settings, f"p{processes}n"))
        print(f"\n{processes} per worker: {found[processes]}", flush=True)
    result = {
        "processes_per_worker": found,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "load_1_min": round(load, 2)},
        "measured_on": time.strftime("%Y-%m-%d"),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print("\n" + json.dumps(result, indent=1))
