"""The smallest runs of the harness that still break something: within the tests, the whole table in `make faults`."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest

from tests.faults.ground import Ground, ground
from tests.faults.outcome import Outcome
from tests.faults.rows import postgres_faults, processes, queues, redis_faults, serving
from tests.faults.table import as_control

pytestmark = pytest.mark.faults
Run = Callable[[Ground], Awaitable[Outcome]]

RUNS: dict[str, Run] = {
    "kills": partial(processes.kills, count=4, every_s=1),
    "redis": partial(redis_faults.restarts, count=1),
    "flushall": partial(redis_faults.emptied, count=1),
    "postgres": partial(postgres_faults.restarts, count=1),
    "duplicates": partial(queues.duplicates, count=60),
    "garbage": partial(queues.garbage_in_queues, count=34),
}


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    """Where the runs take place."""
    with ground() as made:
        yield made


@pytest.mark.parametrize("name", RUNS)
async def test_a_fault_loses_nothing_and_doubles_nothing(place: Ground, name: str) -> None:
    """After the fault each acknowledged request has each effect once, and every process works again."""
    outcome = await RUNS[name](place)
    # Times are no matter of tests: a machine with other work is late and loses nothing.
    wrong = {name: count for name, count in outcome.findings.items() if count}
    assert wrong == {}, outcome.examples
    assert outcome.figures["workers dead for good"] == outcome.figures["deaths of their own"] == 0
    assert outcome.figures["drained s"] is not None


@pytest.mark.parametrize("run", [partial(serving.damaged, count=32), partial(serving.reloads, count=5)])
async def test_whatever_is_published_every_request_is_answered(place: Ground, run: Run) -> None:
    """Broken versions never answer, good ones go live, and no request meets anything of it."""
    outcome = await run(place)
    assert {name: count for name, count in outcome.findings.items() if count} == {}, outcome.examples
    assert outcome.figures["server deaths"] == 0
    assert outcome.figures.get("refused with a reason", 32) == 32
    assert outcome.figures.get("marker files", 0) == 0


async def test_without_the_sweep_the_harness_reports_losses(place: Ground) -> None:
    """The harness is able to fail."""
    outcome = await redis_faults.emptied(place, count=1, waiting=5, control="sweep off")
    assert as_control(outcome, "sweep off", "lost").passed
