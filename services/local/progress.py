"""A run as people watch it: one line per step, filled in as the events happen."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncEngine

from common.operations.runs import Run, RunEvent, follow_run

_STEPS = {
    "ingest.requested": "ingest",
    "dataset.ingested": "preprocess",
    "dataset.preprocessed": "train",
    "training.requested": "train",
}
_SYMBOLS = {
    "done": ("✓", "green"),
    "dead": ("✗", "red"),
    "rejected": ("✗", "red"),
    "retrying": ("!", "yellow"),
    "waiting": ("·", "dim"),
    "queued": ("·", "dim"),
    "running": ("…", "blue"),
    "superseded": ("-", "dim"),
    "discarded": ("-", "dim"),
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line: an event that somebody handles, and what came of it."""

    event_id: UUID
    label: str
    state: str
    detail: str
    seconds: float | None


def steps_of(run: Run) -> list[Step]:
    """The steps of a run so far, in the order of their events."""
    caused: dict[UUID, list[RunEvent]] = {}
    for event in run.events:
        if event.cause is not None:
            caused.setdefault(event.cause, []).append(event)
    steps = []
    for event in run.events:
        label = _STEPS.get(event.type)
        if label is None:
            continue
        if event.type == "training.requested":
            label = _training_label(event.data)
        elif event.type == "dataset.preprocessed" and event.state == "done":
            continue  # its families say more
        outcomes = caused.get(event.id, ())
        detail = _detail(event, outcomes)
        state = "rejected" if any(one.type == "dataset.rejected" for one in outcomes) else event.state
        steps.append(Step(event_id=event.id, label=label, state=state, detail=detail, seconds=event.seconds))
    return steps


def _training_label(data: Mapping[str, object]) -> str:
    slices = data.get("slices", 1)
    part = f" {int(str(data['slice'])) + 1}/{slices}" if slices != 1 else ""
    return f"train {data['family']}{part}"


def _detail(event: RunEvent, caused: Sequence[RunEvent]) -> str:
    """What came of an event, in a few words."""
    if event.state in {"dead", "retrying"}:
        return event.error or ""
    words = [text for text in map(_outcome, caused) if text]
    return "; ".join(words)


def _outcome(event: RunEvent) -> str:
    data = event.data
    if event.type == "dataset.ingested":
        return f"{data['rows']:,} rows, snapshot {data['snapshot']}"
    if event.type == "dataset.unchanged":
        return "nothing new since the last snapshot"
    if event.type == "dataset.rejected":
        return f"rejected: {data['reason']}"
    if event.type == "dataset.preprocessed":
        dropped = sum(data.get("rows_dropped", {}).values())
        return f"{data['rows_kept']:,} rows kept, {dropped:,} dropped"
    if event.type == "model.trained":
        return f"{data['model']} {data['version']}: {main_metric(data['metrics'])}"
    if event.type == "model.held":
        return f"held: {data['reason']}"
    return ""


def main_metric(metrics: Mapping[str, float]) -> str:
    """The figure that people ask for first: accuracy on the test rows, or r2 for a regression."""
    for name in ("accuracy", "r2"):
        for key in (name, f"test_{name}"):
            if key in metrics:
                return f"{name} {metrics[key]:.4f}"
    name, value = next(iter(metrics.items()), ("no metric", float("nan")))
    return f"{name} {value:.4f}"


class _Board:
    """What the live display draws: the steps of all runs."""

    def __init__(self) -> None:
        self.runs: dict[UUID, Run] = {}
        self._spinners: dict[UUID, Spinner] = {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table.grid(padding=(0, 2))
        for run in self.runs.values():
            for step in steps_of(run):
                table.add_row(*self._cells(run, step))
        yield table

    def _cells(self, run: Run, step: Step) -> tuple[Text | Spinner, Text, Text, Text]:
        symbol, style = _SYMBOLS.get(step.state, ("?", ""))
        first: Text | Spinner = Text(symbol, style)
        if step.state == "running":
            first = self._spinners.setdefault(step.event_id, Spinner("dots", style=style))
        seconds = f"{step.seconds:.1f} s" if step.seconds is not None else ""
        name = f"{run.dataset}: {step.label}" if len(self.runs) > 1 else step.label
        return first, Text(name), Text(step.detail or step.state, "" if step.detail else "dim"), Text(seconds, "dim")


async def watch_runs(engine: AsyncEngine, run_ids: Sequence[UUID], console: Console) -> list[Run]:
    """Shows runs until all have ended, and returns them as they ended. Without a terminal: one line per step done."""
    board = _Board()
    told: set[tuple[UUID, str]] = set()

    async def watch(run_id: UUID) -> Run:
        async for run in follow_run(engine, run_id):
            board.runs[run_id] = run
            if not console.is_terminal:
                print_news(console, run, told)
        return board.runs[run_id]

    live = Live(board, console=console, refresh_per_second=10) if console.is_terminal else contextlib.nullcontext()
    with live:
        return list(await asyncio.gather(*(watch(run_id) for run_id in run_ids)))


def print_news(console: Console, run: Run, told: set[tuple[UUID, str]]) -> None:
    """Prints the steps that have come to something since the last time."""
    for step in steps_of(run):
        if step.state in {"waiting", "queued", "running"} or (step.event_id, step.state) in told:
            continue
        told.add((step.event_id, step.state))
        seconds = f"  {step.seconds:.1f} s" if step.seconds is not None else ""
        symbol = _SYMBOLS.get(step.state, ("?", ""))[0]
        console.print(
            f"  {symbol} {run.dataset}: {step.label}  {step.detail or step.state}{seconds}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
