"""What `up` ends with: the models, the addresses, and lines to paste for this very instance."""

import asyncio
import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from common.bundles.reader import read_manifest
from common.database.tables import model_versions
from common.datasets import DatasetSpec
from common.errors import RookeryError
from common.settings import Settings
from services.local.api import call_api
from services.local.home import EMBEDDED, Addresses, Home
from services.local.progress import main_metric
from services.local.servers import postgres_binaries, redis_program, server_account
from services.local.session import Session
from services.local.surroundings import FLOWER_USER, psql_url


async def print_summary(
    session: Session,
    console: Console,
    *,
    engine: AsyncEngine,
    served: Mapping[str, Any],
    specs: Mapping[str, DatasetSpec],
    seconds: float,
) -> None:
    """Prints it. Lines to paste are printed whole, never wrapped."""
    home, settings, addresses = session.home, session.settings, session.home.read_addresses()
    models = served["models"]
    if models:
        console.print(await _models_table(engine, models))
    else:
        console.print("[yellow]![/] no model is served yet; `rookery runs` and `rookery events --dead` say why")

    def line(name: str, text: str) -> None:
        console.print(f"  {name:<10} {text}", highlight=False, markup=False, soft_wrap=True)

    console.print(f"Rookery is up after {seconds:.1f} s.", style="bold")
    line("API", f"{settings.inference_url}   docs: {settings.inference_url}/docs")
    line("console", addresses.console if addresses else "")
    line("Flower", f"{settings.flower_url}   user {FLOWER_USER}, password in {near(home.secret('flower_password'))}")
    line("logs", f"{near(home.logs)}   or: {rookery_command()} logs")
    first = next(iter(specs), None)
    for name, text in paste_lines(home, settings, addresses, first).items():
        line(name, text)
    record = await asyncio.to_thread(_sample_record, settings, served.get("default"))
    if record is not None:
        await _show_prediction(console, settings, record)
    console.print("Ctrl-C stops everything.", style="dim")


async def _models_table(engine: AsyncEngine, models: list[dict[str, Any]]) -> Table:
    async with engine.connect() as connection:
        columns = (model_versions.c.model, model_versions.c.version, model_versions.c.metrics, model_versions.c.seconds)
        found = {(row.model, row.version): row for row in await connection.execute(select(*columns))}
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("model")
    table.add_column("version", justify="right")
    table.add_column("on test rows")
    table.add_column("trained in", justify="right")
    for model in models:
        row = found.get((model["name"], model["version"]))
        metrics = (row.metrics if row else None) or model.get("metrics") or {}
        took = f"{row.seconds:.1f} s" if row is not None and row.seconds is not None else ""
        table.add_row(model["name"], str(model["version"]), main_metric(metrics), took)
    return table


def paste_lines(home: Home, settings: Settings, addresses: Addresses | None, dataset: str | None) -> dict[str, str]:
    """The shells of this instance: no password is shown, neither here nor in a list of processes."""
    lines = {}
    parts = urlsplit(settings.redis)
    if addresses is not None and addresses.redis == EMBEDDED:
        program = near(redis_program("redis-cli"))
        shown = f'REDISCLI_AUTH="$(cat {near(home.secret("redis_password"))})" {program} -p {parts.port}'
        lines["redis-cli"] = f"{shown} XREVRANGE rookery:events + - COUNT 5"
        lines[""] = f"or: {rookery_command()} redis XREVRANGE rookery:events + - COUNT 5"
    else:
        lines["redis-cli"] = f"{rookery_command()} redis XREVRANGE rookery:events + - COUNT 5"
    table = dataset or "rookery.runs"
    query = f'-c "SELECT count(*) FROM {table}"'
    if addresses is not None and addresses.postgres == EMBEDDED:
        program = near(postgres_binaries(server_account()) / "psql")
        lines["psql"] = f"PGPASSFILE={near(home.secret('pgpass'))} {program} {psql_url(settings)} {query}"
    else:
        lines["psql"] = f"{rookery_command()} psql {query}"
    lines[" "] = f"or: {rookery_command()} psql"
    return lines


def near(path: Path) -> str:
    """A path as one would type it here, quoted for a shell."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here)) if path.is_relative_to(here) else str(path))


def rookery_command() -> str:
    """How to call this command here: by its name where the shell finds it, else by its path."""
    script = Path(sys.executable).parent / "rookery"
    found = shutil.which("rookery")
    return "rookery" if found and Path(found) == script else near(script)


def _sample_record(settings: Settings, default: str | None) -> dict[str, Any] | None:
    """A record that the default model was tried with when it was trained."""
    if not default:
        return None
    try:
        listed = call_api(settings, "/models")["models"]
        version = next(model["version"] for model in listed if model["name"] == default)
        manifest = read_manifest(settings.models_dir, default, version, settings.signing_keys)
    except (RookeryError, StopIteration):
        return None
    return dict(manifest.samples.records[0]) if manifest.samples.records else None


async def _show_prediction(console: Console, settings: Settings, record: Mapping[str, Any]) -> None:
    """One call to paste, and what it answers."""
    body = json.dumps({"records": [record]})
    key = ' -H "Authorization: Bearer $INFERENCE_API_KEY"' if settings.inference_api_keys else ""
    quoted = shlex.quote(body)
    call = f"curl -s {settings.inference_url}/predict -H 'Content-Type: application/json'{key} -d {quoted}"
    console.print(f"  {'predict':<10} {call}", highlight=False, markup=False, soft_wrap=True)
    try:
        answer = await asyncio.to_thread(call_api, settings, "/predict", {"records": [record]})
    except RookeryError as error:
        console.print(f"  {'':<10} {error.message}", highlight=False, markup=False)
        return
    told = f"{answer['predictions'][0]}  ({answer['model']}, version {answer['version']})"
    console.print(f"  {'answers':<10} {told}", highlight=False, markup=False)
