"""Processes that are killed at random, at each step of their work, and one that was only thought to be dead."""

import asyncio
import contextlib
import time
from random import Random

import psutil

from tests.faults.arena import Arena, Plan, chosen, running
from tests.faults.chain import HANDLERS
from tests.faults.crashing import points_left
from tests.faults.ground import Ground
from tests.faults.history import Cut
from tests.faults.load import ask, ask_many, load
from tests.faults.outcome import Outcome, judge, recovered, spread
from tests.faults.parlour import Parlour, predictions

STAGES = ("claimed", "handled", "committed", "published", "finished")


# Of as many kills one is of beat, and one of a prediction process; the others are of workers.
TURNS = 7
BEATS_TURN, PREDICTIONS_TURNS = 6, (1, 4)


async def kills(ground: Ground, *, count: int, every_s: float = 2.0, control: str = "") -> Outcome:
    """`kill -9` of a random worker, of a child of one, of beat, or of one of two prediction processes, under load."""
    outcome = Outcome(row="kill -9 a random process")
    random = chosen(1)
    again: list[float | None] = []
    async with running(ground, Plan(name="kills", workers=2, control=control)) as arena:
        async with predictions(ground, arena, processes=2) as parlour, load(arena):
            await asyncio.sleep(1)
            for number in range(count):
                if number % TURNS in PREDICTIONS_TURNS:
                    again.append(await _kill_prediction(arena, parlour, random))
                else:
                    _kill_one(arena, random, beat=number % TURNS == BEATS_TURN)
                await asyncio.sleep(every_s)
        judged = await judge(arena, outcome)
        outcome.at_least("kills", len(judged.faults()), least=count)
        outcome.figures["kills of a prediction process"] = len(again)
        outcome.figures["connections cut"] = len(arena.history.of(Cut))
        spread(outcome, "both prediction processes answer again s", again, at_most=5)
        outcome.mark("longest pause s", judged.longest_pause_s(), at_most=1)
        outcome.mark("drained s", judged.drained_s(), at_most=5)
        recovered(outcome, judged.recoveries("kill", "kill child"), at_most=1)
    return outcome


def _kill_one(arena: Arena, random: Random, *, beat: bool) -> None:
    """Kills a worker, a child of one, or a beat."""
    name = random.choice(arena.names("beat") if beat else _workers(arena))
    at = time.time()
    children = arena.children(name)
    if children and random.random() < 0.4:
        arena.kill(name, pid=children[0])
        arena.fault("kill child", name, at=at)
    else:
        arena.kill(name)
        arena.fault("kill", name, at=at)


async def _kill_prediction(arena: Arena, parlour: Parlour, random: Random) -> float | None:
    """Kills one of the two processes that share the port; returns after how long a new one answers beside the other."""
    before: set[str] = set()
    async with asyncio.timeout(20):
        while len(before) < 2:
            before |= {await parlour.answerer()} - {""}
    at = time.time()
    random.choice(parlour.process.children()).kill()
    arena.fault("kill prediction", "inference", at=at)
    while time.time() - at < 10:
        if await parlour.answerer() not in before | {""}:
            return time.time() - at
    return None


def _workers(arena: Arena) -> list[str]:
    return [name for name in arena.names() if name.partition("-")[0] in HANDLERS]


async def beat_kills(ground: Ground, *, count: int, seconds: float) -> Outcome:
    """Beat is killed again and again while data sets are due: each window is asked for once, and soon."""
    outcome = Outcome(row="kill -9 beat")
    interval_s, datasets = 5, 5
    async with running(ground, Plan(name="beat-kills", beats=1)) as arena:
        random = chosen(2)
        for number in range(datasets):
            write_spec(arena, f"t{number}", interval_s=interval_s)
        first = time.time() // interval_s + 1
        await asyncio.sleep(first * interval_s - time.time())
        for number in range(count):
            await asyncio.sleep(random.uniform(0.6, 1.4) * seconds / count if number else 0.5)
            at = time.time()
            arena.kill("beat-1")
            arena.fault("kill", "beat-1", at=at)
        windows = max(1, round(seconds / interval_s))
        await asyncio.sleep(max(0.0, (first + windows) * interval_s - 0.3 - time.time()))
        for path in (arena.shared / "datasets").iterdir():
            path.unlink()
        judged = await judge(arena, outcome)
        rows = await arena.rows(
            "SELECT dataset, extract(epoch FROM started_at)::float8 AS at FROM rookery.runs"
            " WHERE requested_by = 'schedule' AND started_at >= to_timestamp(:first)", first=first * interval_s,
        )  # fmt: skip
        seen = [(row.dataset, row.at // interval_s) for row in rows]
        outcome.exactly("windows", len(set(seen)), expected=windows * datasets)
        outcome.exactly("windows twice", len(seen) - len(set(seen)), expected=0)
        outcome.at_least("kills", len(judged.faults()), least=count)
        spread(outcome, "late s", [row.at % interval_s for row in rows], at_most=2)
    return outcome


def write_spec(arena: Arena, name: str, *, interval_s: float) -> None:
    """A data set's spec, of which the chain uses the interval alone."""
    (arena.shared / "datasets" / f"{name}.toml").write_text(
        'target = "t"\ntask = "classification"\nmetric = "accuracy"\ndefault_model = "f"\n'
        '[source]\nkind = "csv"\npath = "x.csv"\n[features]\nnumeric = ["n"]\n'
        f"[schedule]\ninterval_s = {interval_s}\n"
        '[families.f]\nestimator = "sklearn.linear_model.LogisticRegression"\n'
    )


async def crash_points(ground: Ground, *, both: bool) -> Outcome:
    """A process ends at each stage of each event: its child alone, or the worker as a whole; in turn, or both each."""
    outcome = Outcome(row="crash at each step")
    points = [f"{stage}.{kind.type}" for handlers in HANDLERS.values() for kind in handlers for stage in STAGES]
    victims = ("child", "group")
    plans = [{point: victims[(number + lap) % 2] for number, point in enumerate(points)} for lap in range(1 + both)]
    async with running(ground, Plan(name="crashes")) as arena:
        for plan in plans:
            for point, victim in plan.items():
                (arena.crashes / point).write_text(victim)
            for _ in range(60):
                await ask_many(arena, 3)  # so that the services crash side by side
                await arena.drained(20)
                if not points_left(arena.crashes):
                    break
        outcome.exactly("points not reached", len(points_left(arena.crashes)), expected=0)
        arena.fault("crash", "each", at=time.time())
        # A worker that ends as a whole is seen to end without the harness's doing.
        whole = sum(victim == "group" for plan in plans for victim in plan.values())
        await judge(arena, outcome, deaths=whole)
        outcome.figures["crash points"] = sum(map(len, plans))
    return outcome


async def late_holder(ground: Ground, *, count: int, control: str = "") -> Outcome:
    """A trainer is stopped past its lease while it fits, another takes over, and then it goes on."""
    outcome = Outcome(row="SIGSTOP past the lease, then SIGCONT")
    plan = Plan(name="late-holder", workers=2, environment={"LEASE_S": "1"}, control=control)
    async with running(ground, plan) as arena:
        for _ in range(count):
            run = await ask(arena, "a_fits_1s")
            pid = await _fitting(arena, run)
            at = time.time()
            arena.stop(pid)
            await _until_handled_without(arena, run, pid)
            arena.go_on(pid)
            arena.fault("SIGSTOP", "train", at=at)
            await asyncio.sleep(1.5)
        judged = await judge(arena, outcome, drain_s=5 if control else 60)
        outcome.at_least("stopped", len(judged.faults()), least=count)
        lost = await asyncio.to_thread(_said, arena, "lease lost")
        if not control:
            outcome.at_least("refused commits", lost, least=count)
    return outcome


async def _fitting(arena: Arena, run: object) -> int:
    """The process that fits for a run."""
    async with asyncio.timeout(20):
        while True:
            rows = await arena.rows(
                "SELECT owner FROM rookery.events WHERE correlationid = :run AND type = 'training.requested'"
                " AND claimed_until > clock_timestamp() AND handled_at IS NULL", run=run,
            )  # fmt: skip
            for row in rows:
                pid = int(row.owner.split("/")[1])
                with contextlib.suppress(psutil.Error):
                    if psutil.Process(pid).status() != psutil.STATUS_STOPPED:
                        return pid
            await asyncio.sleep(0.02)


async def _until_handled_without(arena: Arena, run: object, pid: int) -> None:
    """Waits until both fits of a run are done, by others than the stopped process."""
    async with asyncio.timeout(30):
        while True:
            rows = await arena.rows(
                "SELECT count(*) AS done FROM rookery.events WHERE correlationid = :run"
                " AND type = 'training.requested' AND handled_at IS NOT NULL AND owner NOT LIKE :pid",
                run=run, pid=f"%/{pid}/%",
            )  # fmt: skip
            if rows[0].done == 2:
                return
            await asyncio.sleep(0.05)


def _said(arena: Arena, words: str) -> int:
    """How often the workers' logs say something."""
    return sum(path.read_text().count(words) for path in arena.folder.glob("train-*.log"))
