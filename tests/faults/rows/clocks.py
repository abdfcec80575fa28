"""The clock of the whole machine jumps: of PostgreSQL, of Redis and of every process of ours."""

import asyncio
import shutil
import subprocess
import time
from pathlib import Path

import psutil

from tests.faults.arena import Arena, Plan, running
from tests.faults.ground import Ground
from tests.faults.load import load
from tests.faults.outcome import Outcome, judge

SOURCE = Path(__file__).parents[1] / "clock.c"
HOUR_S, DAY_S = 3_600, 86_400
# One after the other, in seconds from the right time: an hour on, a day on, and all of it back.
JUMPS = (("an hour on", HOUR_S), ("a day on", HOUR_S + DAY_S), ("a day and an hour back", 0))
REST_S = 3.0


async def jumps(ground: Ground) -> Outcome:
    """Each jump comes under load; afterwards all is done soon, nothing twice, and nobody spins."""
    outcome = Outcome(row="clock jumps")
    compiler = shutil.which("cc")
    if compiler is None:
        outcome.not_run = "needs a C compiler (cc) for a clock that moves"
        return outcome
    library, shift = ground.folder / "clock.so", ground.folder / "clock"
    await asyncio.to_thread(
        subprocess.run, [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"], check=True
    )
    shift.write_text("0")
    moved = {"LD_PRELOAD": str(library), "FAULTS_CLOCK": str(shift)}
    plan = Plan(name="clock", workers=2, environment={**moved, "LEASE_S": "5"}, server_environment=moved)
    async with running(ground, plan) as arena:
        for name, seconds in JUMPS:
            async with load(arena, datasets=("a_fits_1s", "b"), per_s=1):
                await asyncio.sleep(2)
                at = time.time()
                _set(shift, seconds)
                arena.fault("jump", name, at=at)
                await asyncio.sleep(2)
            drained_at = await arena.drained(30)
            outcome.mark(f"{name}: all done s", None if drained_at is None else drained_at - at, at_most=15)
            outcome.mark(f"{name}: cores at rest", await _cores(arena), at_most=0.5)
        # The times of its effects are of the clock that jumped.
        await judge(arena, outcome, timed=False)
    return outcome


def _set(shift: Path, seconds: int) -> None:
    """Moves the clock, in one step."""
    fresh = shift.with_suffix(".new")
    fresh.write_text(str(seconds))
    fresh.replace(shift)


async def _cores(arena: Arena) -> float:
    """How many cores all processes of ours keep busy while nothing is to be done."""
    pids = [pid for name in arena.names() for pid in (arena.pid(name), *arena.children(name)) if pid is not None]
    processes = [psutil.Process(pid) for pid in pids]
    before = sum(sum(process.cpu_times()[:2]) for process in processes)
    await asyncio.sleep(REST_S)
    return (sum(sum(process.cpu_times()[:2]) for process in processes) - before) / REST_S
