"""`rookery datasets`: the spec files, whether they are right, and writing one."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer import Exit

from common.datasets.listing import SpecState, check_specs, list_specs, show_spec
from common.errors import ConflictError, SettingsError
from services.local.session import Session, open_session


def list_command(*, as_json: bool) -> None:
    """Lists every spec, right or wrong, and where the stack is up, why the last run of one failed."""
    session = open_session()
    found = list_specs(session.settings.datasets_dir)
    with suppress(ConflictError, SettingsError):  # no stack, no runs
        failures = asyncio.run(_failures(session, [state.name for state in found]))
        found = [msgspec.structs.replace(state, failure=failures.get(state.name, "")) for state in found]
    _print(found, as_json=as_json)


def check_command(names: list[str], *, as_json: bool) -> None:
    """Checks specs, with the families' parameters; ends with 1 where one is wrong."""
    found = check_specs(open_session().settings.datasets_dir, names)
    _print(found, as_json=as_json)
    if any(state.problem for state in found):
        raise Exit(1)


def show_command(name: str) -> None:
    """Shows a spec with every default filled in, as JSON."""
    shown = show_spec(open_session().settings.datasets_dir, name)
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(shown), indent=2) + b"\n")


def init_command(file: Path, target: str, name: str, *, force: bool) -> None:
    """Writes a spec for a CSV or Parquet file."""
    from common.datasets.drafting import init_spec

    settings = open_session().settings
    spec, data = init_spec(
        file, target, datasets_dir=settings.datasets_dir, data_dir=settings.data_dir, name=name, force=force
    )
    console = Console()
    console.print(f"{spec} says what was found in {data}.", highlight=False, soft_wrap=True)
    console.print("Look it over; a running stack takes it up by itself.", highlight=False)


async def _failures(session: Session, names: list[str]) -> dict[str, str]:
    from common.operations.datasets import last_failures

    async with session.transaction() as connection:
        return await last_failures(connection, names)


def _print(found: list[SpecState], *, as_json: bool) -> None:
    """The specs as a table, or as JSON for programs; what is wrong stands below the table in full."""
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        return
    console = Console()
    table = Table("data set", "source", "target", "task", box=None, header_style="dim")
    table.add_column("models", overflow="fold")
    for state in found:
        if not state.problem:
            table.add_row(state.name, state.source, state.target, state.task, ", ".join(state.models))
    if table.row_count:
        console.print(table)
    for state in found:
        if state.problem:
            console.print(f"[red]✗[/] {escape(state.problem)}", highlight=False, soft_wrap=True)
        elif state.failure:
            console.print(
                f"[yellow]![/] {state.name}: the last run failed: {escape(state.failure)}",
                highlight=False,
                soft_wrap=True,
            )
