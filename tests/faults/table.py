"""Which rows there are, in their order, each with its numbers in the short and in the long run."""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from tests.faults.ground import Ground
from tests.faults.outcome import Outcome
from tests.faults.rows import (
    clocks,
    disks,
    http,
    postgres_faults,
    processes,
    queues,
    redis_faults,
    schedules,
    serving,
    whole,
    whole_crashes,
)

Run = Callable[[Ground], Awaitable[Outcome]]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row: its name to ask for it by, and how it is run."""

    name: str
    short: Run
    long: Run


def _row(name: str, run: Callable[..., Awaitable[Outcome]], short: dict[str, object], long: dict[str, object]) -> Row:
    """A row with its numbers."""
    return Row(name=name, short=partial(run, **short), long=partial(run, **long))


ROWS = (
    _row("kills", processes.kills, {"count": 20}, {"count": 300}),
    _row("whole-kills", whole.kills, {"count": 8}, {"count": 100}),
    _row("beat-kills", processes.beat_kills, {"count": 5, "seconds": 20}, {"count": 10, "seconds": 60}),
    _row("crashes", processes.crash_points, {"both": False}, {"both": True}),
    _row("whole-crashes", whole_crashes.crash_points, {"groups": 6}, {"groups": 2}),
    _row("late-holder", processes.late_holder, {"count": 3}, {"count": 30}),
    _row("redis-restarts", redis_faults.restarts, {"count": 10}, {"count": 100}),
    _row("flushall", redis_faults.emptied, {"count": 3}, {"count": 20}),
    _row("redis-outage", redis_faults.outage, {"seconds": 10}, {"seconds": 60}),
    _row("half-open", redis_faults.half_open, {"count": 1}, {"count": 20}),
    _row("postgres-restarts", postgres_faults.restarts, {"count": 5}, {"count": 50}),
    _row("duplicates", queues.duplicates, {"count": 500}, {"count": 10_000}),
    _row("garbage", queues.garbage_in_queues, {"count": 200}, {"count": 50_000}),
    _row("clock", clocks.jumps, {}, {}),
    _row("disk", disks.full, {}, {}),
    _row("reload", serving.reloads, {"count": 100}, {"count": 2_000}),
    _row("damaged", serving.damaged, {"count": 200}, {"count": 5_000}),
    _row("folders", serving.folders, {}, {}),
    _row("unmounted", serving.unmounted, {}, {}),
    _row("broken-newest", serving.restarts, {"each": 4}, {"each": 1}),
    _row("malformed", http.malformed_requests, {"count": 2_000}, {"count": 200_000}),
    _row("slow", http.slow_connections, {"count": 400, "seconds": 22}, {"count": 400, "seconds": 30}),
    _row("two-beats", schedules.doubled, {"seconds": 10}, {"seconds": 60}),
)


def _control(row: str, run: Callable[..., Awaitable[Outcome]], name: str, sees: str, **numbers: object) -> Row:
    """A row with a protection taken away; `sees` begins the finding by which that must be seen."""

    async def controlled(ground: Ground) -> Outcome:
        return as_control(await run(ground, control=name, **numbers), f"control: {name} ({row})", sees)

    return Row(name=f"control-{name.replace(' ', '-')}", short=controlled, long=controlled)


def as_control(outcome: Outcome, name: str, sees: str) -> Outcome:
    """What a run without a protection shows: it passes when the finding is there that the protection prevents."""
    count = outcome.findings.get(sees, 0) or int(outcome.figures.get(sees) or 0)
    missed = [] if count else [f"{sees}: nothing was found"]
    return msgspec.structs.replace(outcome, row=name, is_control=True, saw=outcome.missed, missed=missed)


CONTROLS = (
    _control("FLUSHALL", redis_faults.emptied, "sweep off", "lost", count=1),
    _control("duplicates", queues.duplicates, "inbox off", "twice", count=60),
    _control("SIGSTOP", processes.late_holder, "fencing off", "twice", count=1),
    _control("garbage", queues.garbage_in_queues, "guard off", "deaths of their own", count=40),
    _control("damaged bundles", serving.damaged, "hash check off", "unverified", count=3, kinds=("predictor forged",)),
    _control("reload", serving.reloads, "managed is serving", "unanswered", count=10),
)
