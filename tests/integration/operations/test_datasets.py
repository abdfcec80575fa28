"""What is told of data sets whose runs fail."""

import asyncio

import pytest
from typer.testing import CliRunner

from common.operations.datasets import last_failures
from services.local.cli import app
from tests.desk import Desk
from tests.specs import HOUSES, PENGUINS, PENGUINS_CSV

RENTS = "price,rooms,town\n" + "".join(f"{at},{at % 3},{'AB'[at % 2]}\n" for at in range(30))


async def failures(desk: Desk) -> dict[str, str]:
    """Why the last runs failed."""
    async with desk.engine.connect() as connection:
        return await last_failures(connection, ["houses", "penguins", "ghosts"])


async def test_a_failure_is_told_until_it_is_over(desk: Desk) -> None:
    """A rejection is told until a snapshot is taken or the source is found as it was before."""
    desk.spec("houses", HOUSES)
    for content, reason in (
        (RENTS, None),
        ("price\n1\n", "columns rooms, town missing in houses.csv; it has price"),
        (RENTS, None),
        ("price,rooms,town\n", "there is no row among 0"),
        (RENTS + "7,1,A\n", None),
    ):
        desk.data("houses.csv", content)
        await end(desk, await desk.ingest("houses"))
        assert await failures(desk) == ({"houses": reason} if reason else {})


async def end(desk: Desk, _answer: object) -> None:
    """Ends runs that go on with their snapshot, as the later stages would."""
    await desk.run(
        "UPDATE rookery.runs SET state = 'completed', outcome = 'trained', ended_at = clock_timestamp()"
        " WHERE state = 'running'"
    )


async def test_a_training_that_failed_is_told_though_nothing_new_came_after(desk: Desk) -> None:
    """What failed after the snapshot is not over because the source is unchanged."""
    desk.spec("houses", HOUSES)
    desk.data("houses.csv", RENTS)
    await desk.ingest("houses")
    await desk.run(
        "UPDATE rookery.runs SET state = 'failed', outcome = 'failed', reason = 'no memory', ended_at = now()"
    )
    await desk.run("UPDATE rookery.events SET handled_at = clock_timestamp(), result = 'handled'")
    await desk.ingest("houses")
    assert await failures(desk) == {"houses": "no memory"}


async def test_the_list_says_what_is_wrong(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`rookery datasets list` tells a broken spec, and of a right one why its last run failed."""
    desk.spec("penguins", PENGUINS)
    desk.data("penguins.csv", PENGUINS_CSV.replace("39.1", "[39]", 1))
    desk.spec("houses", "target = 1\n")
    await desk.ingest()
    settings = desk.settings
    for name, value in (
        ("ROOKERY_HOME", settings.rookery_home),
        ("SHARED_DIR", settings.shared_dir),
        ("DATABASE_URL", settings.database_url),
    ):
        monkeypatch.setenv(name, value)
    listed = await asyncio.to_thread(CliRunner().invoke, app, ["datasets", "list"], catch_exceptions=False)
    assert "houses.toml" in listed.output
    reason = "column bill_length_mm is to be numeric, but the source has text there such as '[39]' in row 1"
    assert f"! penguins: the last run failed: {reason}" in listed.output
