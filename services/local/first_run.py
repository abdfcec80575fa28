"""What `up` does once everything works: asks for the first run, shows it, waits until it is served, and sums up.

`python -m services.local.first_run BEGAN`, forked by the stack with the terminal as its output: the supervisor, which
stays, imports neither SQLAlchemy nor Celery for it. BEGAN is when `up` was called, on the clock that only rises.
"""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncEngine

from common.database.engine import database_engine
from common.datasets import DatasetSpec, load_specs
from common.events.broker import make_app
from common.events.publisher import Publisher, PublishError
from common.operations.runs import Run, list_runs, trigger
from common.settings import Settings
from services.local.api import ApiError, call_api
from services.local.progress import watch_runs
from services.local.session import Session, open_session
from services.local.summary import print_summary

SERVED_WITHIN_S = 20.0


async def first_run(session: Session, console: Console, *, began: float) -> None:
    """From a stack that works to a summary of what it serves."""
    settings = session.settings
    specs = {}
    for name, spec in load_specs(settings.datasets_dir).items():
        if isinstance(spec, DatasetSpec):
            specs[name] = spec
        else:
            console.print(f"[yellow]![/] {spec.message}", highlight=False)
    async with database_engine(settings, "rookery-up") as engine:
        runs = await run_datasets(engine, settings, list(specs), console)
        # The schedule may have begun a run of its own beside ours, whose models are still on their way.
        async with engine.connect() as connection:
            beside = [run.id for run in await list_runs(connection, state="running") if run.dataset in specs]
        runs += await watch_runs(engine, beside, console) if beside else []
        for run in runs:
            if run.state != "completed":
                console.print(f"[red]✗[/] {run.dataset}: {run.state}: {run.reason}", highlight=False)
        served = await wait_served(engine, settings)
        seconds = time.monotonic() - began
        await print_summary(session, console, engine=engine, served=served, specs=specs, seconds=seconds)


async def run_datasets(
    engine: AsyncEngine, settings: Settings, names: Sequence[str], console: Console, *, force: bool = False
) -> list[Run]:
    """Asks for a run of each data set and shows them until all have ended."""
    ids = [await ask(engine, settings, name, requested_by="rookery up", force=force) for name in names]
    return await watch_runs(engine, ids, console) if ids else []


async def ask(
    engine: AsyncEngine,
    settings: Settings,
    dataset: str,
    *,
    requested_by: str,
    force: bool = False,
    stage: Any = "ingest",
) -> UUID:
    """Asks for one run. The ask is kept by its commit; publishing only makes it quicker."""
    async with engine.begin() as connection:
        run_id, events = await trigger(connection, dataset, requested_by=requested_by, force=force, stage=stage)
    publisher = Publisher(make_app(settings, "local"))
    try:
        await asyncio.to_thread(publisher.publish, events)
    except PublishError:
        pass  # the sweep sends it
    finally:
        publisher.close()
    return run_id


async def wait_served(engine: AsyncEngine, settings: Settings) -> Mapping[str, Any]:
    """Waits until the API serves what is to be live; returns its list of models, whatever it is by the deadline."""
    deadline = time.monotonic() + SERVED_WITHIN_S
    while True:
        try:
            listed: dict[str, Any] = await asyncio.to_thread(call_api, settings, "/models")
        except ApiError:
            listed = {"models": [], "default": None}
        wanted = await _wanted(engine)
        seen = {model["name"]: model["version"] for model in listed["models"]}
        if time.monotonic() > deadline or all(seen.get(model) == version for model, version in wanted.items()):
            return listed
        await asyncio.sleep(0.1)


async def _wanted(engine: AsyncEngine) -> dict[str, int]:
    from sqlalchemy import select

    from common.database.tables import live_models

    async with engine.connect() as connection:
        rows = await connection.execute(select(live_models.c.model, live_models.c.live))
        return {row.model: row.live for row in rows}


def main() -> None:
    """Shows the first run of the stack that this environment describes."""
    asyncio.run(first_run(open_session(), Console(), began=float(sys.argv[1])))


if __name__ == "__main__":
    main()
