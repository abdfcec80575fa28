"""Two of what there should be one of."""

import asyncio
import time

from tests.faults.arena import Plan, running
from tests.faults.ground import Ground
from tests.faults.load import load
from tests.faults.outcome import Outcome, judge
from tests.faults.rows.processes import write_spec


async def doubled(ground: Ground, *, seconds: float) -> Outcome:
    """Two beats and two workers of each service: one request per window, one version per request and family."""
    outcome = Outcome(row="two beats, two trainers")
    interval_s, datasets = 2, 3
    async with running(ground, Plan(name="two-beats", workers=2, beats=2)) as arena:
        at = time.time()
        for number in range(datasets):
            write_spec(arena, f"t{number}", interval_s=interval_s)
        async with load(arena, per_s=2):
            await asyncio.sleep(seconds)
        for path in (arena.shared / "datasets").iterdir():
            path.unlink()
        await asyncio.sleep(1.5)  # of a round that has read the specs already
        arena.fault("two beats", "schedule", at=at)
        await judge(arena, outcome)
        rows = await arena.rows(
            "SELECT dataset, extract(epoch FROM started_at)::float8 AS at FROM rookery.runs"
            " WHERE requested_by = 'schedule'"
        )
        windows = [(row.dataset, row.at // interval_s) for row in rows]
        outcome.exactly("windows twice", len(windows) - len(set(windows)), expected=0)
        outcome.at_least("windows", len(set(windows)), least=datasets * int(seconds / interval_s - 1))
    return outcome
