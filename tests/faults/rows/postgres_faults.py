"""PostgreSQL shut down at once, in the middle of everything."""

import asyncio
import signal

from tests.faults.arena import Plan, running
from tests.faults.ground import Ground
from tests.faults.load import load
from tests.faults.outcome import Outcome, judge, recovered
from tests.faults.parlour import predictions


async def restarts(ground: Ground, *, count: int, down_s: float = 1.0) -> Outcome:
    """An immediate shutdown (or, each third time, a kill), back after a second; no process of ours ends by it."""
    outcome = Outcome(row="Postgres immediate restart")
    async with running(ground, Plan(name="postgres-restarts")) as arena:
        async with predictions(ground, arena), load(arena):
            await asyncio.sleep(1)
            for number in range(count):
                how = signal.SIGKILL if number % 3 == 2 else signal.SIGQUIT
                await arena.take_down("postgres", down_s, how)
                await asyncio.sleep(3)
        judged = await judge(arena, outcome)
        outcome.at_least("Postgres restarts", len(judged.faults()), least=count)
        recovered(outcome, judged.recoveries(), at_most=2)
        outcome.mark("drained s", judged.drained_s(), at_most=10)
    return outcome
