"""The product's own handlers, ended at each step: what is left in the end is what a run without a crash leaves."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from common.bundles import layout
from common.bundles.reader import list_versions, read_aliases, read_manifest, verify_files
from common.bundles.retention import LEFTOVER_AGE_S, remove_folders
from common.bundles.writer import is_linked
from common.errors import BundleError
from common.operations.datasets import pause
from tests.faults.arena import Arena, Plan, running
from tests.faults.crashing import points_left
from tests.faults.ground import Ground
from tests.faults.load import ask
from tests.faults.outcome import Outcome, judge
from tests.faults.points import EVENTS

# An event has five attempts: of its points, three lie in wait at a time.
AT_ONCE = 3
# Within this, beat repeats what a crash kept from being shown and written.
FOLLOWS_S = 20.0
State = dict[str, object]
NAME = "shapes"
# As little work as training can be: what matters is where it ends.
SPEC = """
target = "kind"
task = "classification"
metric = "accuracy"
default_model = "linear"
[source]
kind = "csv"
path = "shapes.csv"
[features]
numeric = ["width", "height"]
[families.linear]
estimator = "sklearn.linear_model.LogisticRegression"
scale = true
[families.trees]
estimator = "sklearn.ensemble.RandomForestClassifier"
params = { n_estimators = 3, random_state = 42 }
"""


async def crash_points(ground: Ground, *, groups: int) -> Outcome:
    """Each point is crashed at once: by a child of the worker, and by each `groups`-th the worker as a whole."""
    outcome = Outcome(row="crash at each step of the whole chain")
    waiting = {name: "child" if number % groups else "group" for number, name in enumerate(EVENTS, 1)}
    whole = sum(victim == "group" for victim in waiting.values())
    async with running(ground, Plan(name="whole-crashes", real=True)) as arena:
        (arena.shared / "datasets" / f"{NAME}.toml").write_text(SPEC)
        _change_data(arena, 0)
        await _first_run(arena)
        # Two states of the data in turn, so that each run has something to load, and each is compared with the other.
        expected = [(await _run(arena, lap, {}))[0] for lap in (1, 2)]
        outcome.exactly(
            "runs without a crash that are not whole", len(expected) - sum(map(_is_whole, expected)), expected=0
        )
        differences: list[str] = []
        leftovers = laps = 0
        while (waiting or points_left(arena.crashes)) and laps < len(EVENTS):
            laps += 1
            _lay_out(arena, waiting)
            right = expected[(laps + 1) % 2]
            state, left = await _run(arena, laps, right)
            leftovers += left
            differences += [
                f"lap {laps}: {name} is {state.get(name)}, without a crash {value}"
                for name, value in right.items()
                if state.get(name) != value
            ]
        outcome.exactly("points not reached", len(points_left(arena.crashes)) + len(waiting), expected=0)
        outcome.figures |= {"crash points": len(EVENTS), "leftovers swept": leftovers}
        arena.fault("crash", "each", at=time.time())
        await judge(arena, outcome, steps=(), timed=False, deaths=whole, drain_s=90)
        outcome.exactly("end states that differ", len(differences), expected=0)
        outcome.examples += differences[:10]
    return outcome


def _lay_out(arena: Arena, waiting: dict[str, str]) -> None:
    """Puts the next points in place, of each event type so many that it gets through."""
    there = [EVENTS[name] for name in points_left(arena.crashes)]
    for name in list(waiting):
        if there.count(EVENTS[name]) < AT_ONCE:
            there.append(EVENTS[name])
            (arena.crashes / name).write_text(waiting.pop(name))


async def _first_run(arena: Arena) -> None:
    """Waits for the run that beat begins when it finds the spec."""
    async with asyncio.timeout(90):
        while not await arena.rows("SELECT 1 FROM rookery.runs WHERE state = 'completed'"):  # noqa: ASYNC110 - a row of another process
            await asyncio.sleep(0.1)
    await arena.drained(60)
    # No ticks any more: what was changed is to be found by the run that is asked for.
    async with arena.engine.begin() as connection:
        await pause(connection, NAME, by="harness", reason="one run at a time")


def _change_data(arena: Arena, lap: int) -> None:
    """Rows that a model learns without a mistake, in odd laps without the last one."""
    rows = [f"{number},{number % 7},{'small' if number < 40 else 'large'}" for number in range(80 - lap % 2)]
    (arena.shared / "data" / f"{NAME}.csv").write_text("\n".join(["width,height,kind", *rows, ""]))


async def _run(arena: Arena, lap: int, expected: State) -> tuple[State, int]:
    """One run from the request to the end; the state it leaves, once it is as expected (or whole), or its time is over.

    The second number is how many files a crashed write had left, which are swept here as beat does after a while.
    """
    before = {row.model: row.newest for row in await arena.rows(_NEWEST)}
    await asyncio.to_thread(_change_data, arena, lap)
    run = await ask(arena, NAME)
    await arena.drained(90)
    deadline = time.monotonic() + FOLLOWS_S
    while True:
        left = await asyncio.to_thread(_sweep, arena.settings.models_dir)
        state = await _state(arena, run, before)
        if (state == expected if expected else _is_whole(state)) or time.monotonic() > deadline:
            return state, left
        await asyncio.sleep(0.2)


_NEWEST = "SELECT model, max(version) AS newest FROM rookery.model_versions GROUP BY model"


async def _state(arena: Arena, run: UUID | None, before: dict[str, int]) -> State:
    """What a run has left, with nothing in it that differs from run to run."""
    (ended,) = await arena.rows(
        "SELECT state, coalesce(reason, '') AS reason FROM rookery.runs WHERE id = :run", run=run
    )
    events = await arena.rows(
        "SELECT type, coalesce(result, '') AS result, count(*) AS count FROM rookery.events"
        " WHERE correlationid = :run GROUP BY 1, 2 ORDER BY 1, 2", run=run,
    )  # fmt: skip
    state: State = {
        "run": (ended.state, ended.reason),
        "events": [tuple(row) for row in events],
        "tables": await _tables(arena),
        "reservations": [tuple(row) for row in await arena.rows(_RESERVED)],
    }
    versions = await arena.rows("SELECT * FROM rookery.model_versions WHERE run_id = :run ORDER BY family", run=run)
    state["versions"] = [(row.family, row.version - before.get(row.model, 0), row.state) for row in versions]
    for row in versions:
        state[row.model] = (row.metrics, row.rows_train, re.sub(r"\d+", "n", row.reason or ""))
    live = await arena.rows("SELECT model, live FROM rookery.live_models ORDER BY model")
    folder, keys = arena.settings.models_dir, arena.settings.signing_keys
    state["folder"] = await asyncio.to_thread(
        lambda: [_folder(folder, keys, row.model, row.live, before.get(row.model, 0)) for row in live]
    )
    return state


def _is_whole(state: State) -> bool:
    """Whether a run has done all that it is to do, so that a comparison with it means something."""
    done: Any = state
    return (
        done["run"][0] == "completed"
        and [version[1:] for version in done["versions"]] == [(1, "published"), (1, "published")]
        and [model[1:3] for model in done["folder"]] == [(True, 1), (True, 1)]
        and all(model[3] for model in done["folder"])
        and [table[1] for table in done["tables"]] == [True, True]
        and not any(count for _, count in done["reservations"])
    )


_RESERVED = (
    "SELECT 'version' AS what, count(*) FROM rookery.model_versions WHERE state = 'reserved'"
    " UNION ALL SELECT 'snapshot', count(*) FROM rookery.snapshots WHERE state = 'loading'"
    " UNION ALL SELECT 'table without a snapshot', count(*) FROM pg_tables t WHERE schemaname = 'snapshots'"
    " AND NOT EXISTS (SELECT FROM rookery.snapshots s WHERE s.state = 'ready'"
    "  AND t.tablename IN (s.dataset || '_' || s.number, s.dataset || '_preprocessed_' || s.number))"
)


async def _tables(arena: Arena) -> list[object]:
    """The tables in `public`: whether each shows the newest snapshot, and its content."""
    found: list[object] = []
    for row in await arena.rows(
        "SELECT table_name, wanted = shown AND wanted = (SELECT max(number) FROM rookery.snapshots s"
        " WHERE s.dataset = e.dataset AND state = 'ready') AS newest FROM rookery.exposures e ORDER BY table_name"
    ):
        statement = f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM public.{row.table_name} t"
        found.append((row.table_name, row.newest, *(await arena.rows(statement))[0]))
    return found


def _folder(folder: Path, keys: tuple[bytes, ...], model: str, live: int, before: int) -> tuple[Any, ...]:
    """What the model folder says: live as PostgreSQL has it, one more version than before, each whole, its report."""
    versions = list_versions(folder, model)
    try:
        for version in versions:
            manifest = read_manifest(folder, model, version, keys)
            verify_files(folder, manifest, list(manifest.files))
        agrees = read_aliases(folder, model, keys).live == live and is_linked(folder, model, live)
    except BundleError as error:
        return (model, error.message)
    report = layout.report_dir(folder, model, before + 1)
    return (model, agrees, max(versions) - before, sorted(path.name for path in report.glob("*")))


def _sweep(folder: Path) -> int:
    """Removes leftovers as if they were old enough; returns how many there were. Raises ValueError if one stays."""
    left = _leftovers(folder)
    remove_folders(folder, set(), now=time.time() + LEFTOVER_AGE_S + 1)
    if _leftovers(folder):
        raise ValueError(f"the sweep leaves {_leftovers(folder)}")
    return len(left)


def _leftovers(folder: Path) -> list[Path]:
    """What has a temporary name."""
    return sorted(folder.rglob(f"{layout.TEMPORARY}*"))
