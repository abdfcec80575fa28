"""What beat asks for, on a real PostgreSQL: a broken spec and a failing source stop only their own data set."""

from collections.abc import Sequence

import msgspec

from beat.scheduler import Rounds
from common.datasets.listing import list_specs
from common.events.broker import make_app
from common.events.model import DatasetIngested, DatasetRejected, Event
from common.events.publisher import Publisher
from common.operations.datasets import last_failures
from services.console.reading.overview import dataset_lines
from services.ingest.handlers import HANDLERS
from tests.desk import Desk
from tests.specs import BROKEN, PENGUINS, PENGUINS_CSV, SMALLEST

ON_A_QUERY = SMALLEST.replace(
    'kind = "csv"\npath = "houses.csv"', 'kind = "sql"\nurl = "sqlite:///theirs.db"\nquery = "SELECT 1 AS price"'
)


class Told(Publisher):
    """Keeps what it is given."""

    def __init__(self, desk: Desk) -> None:
        """Begins with nothing; no Redis is asked."""
        nowhere = msgspec.structs.replace(desk.settings, redis_url="redis://127.0.0.1:9/0")
        super().__init__(make_app(nowhere, "test"))
        self.events: list[Event] = []

    def publish(self, events: Sequence[Event], **_: object) -> None:
        """Keeps the events."""
        self.events += events


async def tick(desk: Desk, rounds: Rounds, told: Told) -> list[Event]:
    """What one look at the schedule asks for, each data set's window being over."""
    told.events.clear()
    await desk.run("UPDATE rookery.events SET id = gen_random_uuid()")  # ids of a window are given once
    await desk.run("UPDATE rookery.runs SET id = gen_random_uuid()")
    rounds._ticked = dict.fromkeys(rounds._ticked, -1)
    await rounds.tick_once(desk.engine)
    return sorted(told.events, key=lambda event: event.subject)


async def test_a_broken_spec_stops_only_itself(desk: Desk) -> None:
    """Among specs that are broken in every known way the good one is ingested, and each of the others says why not."""
    spec = PENGUINS.replace("default = true", "default = false")
    desk.spec("good", spec)
    desk.data("penguins.csv", PENGUINS_CSV)
    for number, (old, new, _, _) in enumerate(BROKEN):
        desk.spec(f"broken_{number:02}", spec.replace(old, new, 1))
    told = Told(desk)
    (asked,) = await tick(desk, Rounds(desk.settings, told, ()), told)
    assert asked.subject == "good"
    assert isinstance((await desk.handle(asked, HANDLERS))[0], DatasetIngested)
    listed = {state.name: state.problem for state in list_specs(desk.settings.datasets_dir)}
    async with desk.engine.connect() as connection:
        lines = {line.name: line.error for line in await dataset_lines(connection, desk.settings)}
    assert listed.pop("good") == lines.pop("good") == ""
    assert listed == lines
    for number, (_, _, key, message) in enumerate(BROKEN):
        reason = listed[f"broken_{number:02}"]
        assert f"broken_{number:02}.toml" in reason
        assert f": {key}: " in reason
        assert message in reason


async def test_a_source_that_fails_is_asked_for_again_later_each_time(desk: Desk) -> None:
    """A query that fails is rejected with its reason and waits; a person's run, and beat's next start, try at once."""
    desk.spec("theirs", ON_A_QUERY)
    told = Told(desk)
    rounds = Rounds(desk.settings, told, ())
    (asked,) = await tick(desk, rounds, told)
    (answer,) = await desk.handle(asked, HANDLERS)
    assert isinstance(answer, DatasetRejected)
    assert "there is no file 'theirs.db'" in answer.data.reason
    assert await tick(desk, rounds, told) == []
    async with desk.engine.connect() as connection:
        failures = await last_failures(connection, ["theirs", "others"])
    assert failures == {"theirs": answer.data.reason}
    assert isinstance(await desk.ingest("theirs", urgent=True), DatasetRejected)
    await desk.run("UPDATE rookery.runs SET ended_at = ended_at - interval '61 s'")
    assert await tick(desk, rounds, told) == []  # two failures: two minutes
    await desk.run("UPDATE rookery.runs SET ended_at = ended_at - interval '60 s'")
    assert [event.subject for event in await tick(desk, rounds, told)] == ["theirs"]
    assert await desk.value("SELECT count(*) FROM rookery.events WHERE dead_at IS NOT NULL") == 0


async def test_a_spec_that_was_corrected_is_tried_at_once(desk: Desk) -> None:
    """A changed spec is a reason to look, however long the wait after failures would be."""
    desk.spec("theirs", ON_A_QUERY)
    told = Told(desk)
    rounds = Rounds(desk.settings, told, ())
    (asked,) = await tick(desk, rounds, told)
    await desk.handle(asked, HANDLERS)
    await tick(desk, rounds, told)
    desk.spec("theirs", ON_A_QUERY.replace("theirs.db", "other.db"))
    asked_for = [await tick(desk, rounds, told) for _ in range(3)]
    assert [msgspec.to_builtins(event.subject) for events in asked_for for event in events] == ["theirs"]
