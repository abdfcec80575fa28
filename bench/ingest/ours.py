"""One ingest and preprocess, or one training, in a process of its own, whose highest resident memory is told.

`python -m bench.ingest.ours chain DATASET` and `... train DATASET FAMILY`, with the settings as JSON in BENCH_SETTINGS.
Prints one line of JSON.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from common.database.engine import database_engine
from common.events import store
from common.events.model import TrainingRequested
from common.settings import Settings
from common.snapshots import expose
from services.train.handlers import HANDLERS as TRAIN
from tests.desk import Desk

SWAP_WITHIN_S, SWAP_EVERY_S = 60, 0.25


def highest_mb() -> float:
    """The highest resident memory of this process; `ru_maxrss` would count what its parent had before the exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def chain(desk: Desk, dataset: str) -> dict[str, Any]:
    """Ingest and preprocess. Showing the tables is timed apart: the chain goes on meanwhile."""
    moments = [time.perf_counter()]
    ingested = await desk.ingest(dataset)
    moments.append(time.perf_counter())
    peak = highest_mb()
    tries = await _show(desk, dataset)
    moments.append(time.perf_counter())
    announced = await desk.preprocess(ingested)
    moments.append(time.perf_counter())
    tries += await _show(desk, f"{dataset}_preprocessed")
    moments.append(time.perf_counter())
    assert announced.type == "dataset.preprocessed", announced
    names = ("ingest_s", "show_s", "preprocess_s", "show_encoded_s")
    figures = {name: end - begin for name, begin, end in zip(names, moments[:-1], moments[1:], strict=True)}
    return figures | {"ingest_mb": peak, "both_mb": highest_mb(), "swaps_tried": tries}


async def _show(desk: Desk, table: str) -> int:
    """Swaps, again and again while a reader stands in the way, as the sweep does; returns how often it was tried."""
    deadline = time.monotonic() + SWAP_WITHIN_S
    tries = 1
    while not await expose(desk.engine, table):
        assert time.monotonic() < deadline, f"{table} is not shown after {tries} tries"
        await asyncio.sleep(SWAP_EVERY_S)
        tries += 1
    return tries


async def train(desk: Desk, dataset: str, family: str) -> dict[str, Any]:
    """One family on the latest snapshot."""
    snapshot = await desk.value("SELECT max(number) FROM rookery.snapshots WHERE dataset = :name", name=dataset)
    event = TrainingRequested.first(
        subject=f"{dataset}.{family}", source="bench", dataset=dataset, family=family, snapshot=snapshot
    )
    async with desk.engine.begin() as connection:
        await store.start_run(connection, event, dataset=dataset, requested_by="bench", urgent=False)
    before = highest_mb()
    began = time.perf_counter()
    answer, *_ = await desk.handle(event, TRAIN)
    return {"train_s": time.perf_counter() - began, "train_mb": highest_mb(), "before_mb": before, "told": answer.type}


async def main() -> None:
    """Does what the command line asks for."""
    settings = msgspec.json.decode(os.environ["BENCH_SETTINGS"], type=Settings)
    what, dataset, *rest = sys.argv[1:]
    async with database_engine(settings, "bench") as engine:
        desk = Desk(settings, engine)
        desk.after_commit = False
        found = await (chain(desk, dataset) if what == "chain" else train(desk, dataset, *rest))
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
