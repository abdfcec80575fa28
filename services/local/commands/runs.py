"""`rookery run` and `rookery runs`."""

import asyncio
import sys
from typing import get_args

import msgspec
from rich.console import Console
from rich.table import Table

from common.datasets import DatasetSpec, load_specs
from common.errors import SpecError, UnknownDatasetError
from common.events.topology import SERVICES
from common.operations.runs import Run, Stage, list_runs
from common.settings import Settings
from services.local.first_run import ask
from services.local.progress import watch_runs
from services.local.session import Session, open_session

_STYLES = {"completed": "green", "failed": "red", "running": "blue", "superseded": "dim"}


def run_command(dataset: str | None, *, force: bool, stage: str) -> int:
    """Asks for runs and shows them. Returns 0 where all ended well, else 1."""
    if stage not in get_args(Stage):
        raise UnknownDatasetError(f"--from {stage}: expected one of {', '.join(get_args(Stage))}")
    session = open_session()
    return asyncio.run(_run(session, names_of(session.settings, dataset), force=force, stage=stage))


def names_of(settings: Settings, dataset: str | None) -> list[str]:
    """The data sets meant: the one named, or all. Raises where there is no such spec or it is wrong."""
    specs = load_specs(settings.datasets_dir)
    if dataset is None:
        return [name for name, spec in specs.items() if isinstance(spec, DatasetSpec)]
    spec = specs.get(dataset)
    if spec is None:
        raise UnknownDatasetError(f"there is no data set {dataset!r}; there are: {', '.join(specs) or 'none'}")
    if isinstance(spec, SpecError):
        raise spec
    return [dataset]


async def _run(session: Session, names: list[str], *, force: bool, stage: str) -> int:
    console = Console()
    async with session.engine() as engine:
        ids = [
            await ask(engine, session.settings, name, requested_by="command line", force=force, stage=stage)
            for name in names
        ]
        runs = await watch_runs(engine, ids, console)
    for run in runs:
        style = _STYLES.get(run.state, "")
        reason = f": {run.reason}" if run.reason else ""
        console.print(
            f"[{style}]{run.dataset}: {run.outcome or run.state}[/] in {run.seconds:.1f} s{reason}", highlight=False
        )
    return 0 if all(run.state == "completed" for run in runs) else 1


def runs_command(dataset: str | None, state: str | None, *, everything: bool, limit: int, as_json: bool) -> None:
    """Lists runs."""
    runs = asyncio.run(_list(open_session(), dataset, state, everything=everything, limit=limit))
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(runs)).decode() + "\n")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("run", "data set", "began", "outcome", "seconds", "stages", "asked for by", "models", "reason"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for run in runs:
        style = _STYLES.get(run.state, "")
        table.add_row(
            str(run.id)[-6:],
            run.dataset,
            run.started_at.astimezone().strftime("%d %b %H:%M:%S"),
            f"[{style}]{run.outcome or run.state}[/]",
            f"{run.seconds:.1f}",
            ", ".join(f"{stage} {run.stages[stage]:.2f}" for stage in SERVICES if stage in run.stages),
            run.requested_by,
            ", ".join(run.models),
            run.reason or "",
        )
    wide = None if sys.stdout.isatty() else 200  # a file or pipe has no width of its own
    Console(width=wide).print(table if runs else "no runs", highlight=False)


async def _list(session: Session, dataset: str | None, state: str | None, *, everything: bool, limit: int) -> list[Run]:
    async with session.transaction() as connection:
        return await list_runs(
            connection, dataset=dataset, state=state, with_unchanged=everything or state is not None, limit=limit
        )
