"""Deciding which version answers: promote, roll back, pin, shadow, keep; and the history of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.bundles.live import choose_live, live_row
from common.database.engine import database_engine
from common.database.tables import model_versions
from common.errors import ConflictError, NotFoundError
from common.operations import models
from common.settings import Settings


@pytest.fixture
async def engine(postgres: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine of this test."""
    async with database_engine(postgres, "test") as made:
        yield made


@pytest.fixture
async def connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction, in which forest 1, 2 and 3 went live in turn and 4 is held."""
    async with engine.begin() as opened:
        for version in (1, 2, 3):
            await add(opened, version)
            await choose_live(
                opened,
                model="forest",
                dataset="d",
                version=version,
                action="publish",
                actor="train",
                reason="passed the gate",
            )
        await add(opened, 4, state="held", reason="accuracy 0.8 is 0.1 below live")
        yield opened


async def add(connection: AsyncConnection, version: int, *, state: str = "published", **values: Any) -> None:
    """A version as training leaves it."""
    values = {"metrics": {"accuracy": 0.9}, "reason": None, **values}
    await connection.execute(
        insert(model_versions).values(
            model="forest", version=version, dataset="d", family="forest", state=state, **values
        )
    )


async def history(connection: AsyncConnection) -> list[tuple[str, int, str]]:
    """The history from its beginning: what, which version, by whom."""
    return [(one.action, one.version, one.actor) for one in reversed(await models.history(connection))]


PUBLISHED = [("publish", 1, "train"), ("publish", 2, "train"), ("publish", 3, "train")]


async def test_a_model_tells_what_is_live_and_what_waits(connection: AsyncConnection) -> None:
    """A model names its live and previous version, who decided, and the held versions newer than the live one."""
    (model,) = await models.list_models(connection)
    assert (model.live, model.previous, model.trail, model.held, model.newest) == (3, 2, [3, 2, 1], [4], 4)
    assert (model.decided_by, model.decision, model.reason) == ("train", "publish", "passed the gate")
    assert await models.list_models(connection, dataset="other") == []
    roles = {version.version: version.role for version in await models.list_versions(connection, "forest")}
    assert roles == {4: "held", 3: "live", 2: "previous", 1: "published"}


async def test_promoting_overrides_the_gate(connection: AsyncConnection) -> None:
    """A held version goes live by a person's word, and its state says that it may answer from now on."""
    before = await live_row(connection, "forest")
    model = await models.promote(connection, "forest", 4, by="ada", reason="for the tablets")
    after = await live_row(connection, "forest")
    assert before is not None
    assert after is not None
    assert after.generation == before.generation + 1
    assert (model.live, model.previous, model.trail, model.held) == (4, 3, [4, 3, 2, 1], [])
    assert (model.decided_by, model.decision, model.reason) == ("ada", "promote", "for the tablets")
    assert (await models.get_version(connection, "forest", 4)).state == "published"
    assert not model.written
    assert await history(connection) == [*PUBLISHED, ("promote", 4, "ada")]


async def test_promoting_may_pin(connection: AsyncConnection) -> None:
    """Promoted and pinned in one step: two entries of the history, and a pin that is there already is no conflict."""
    model = await models.promote(connection, "forest", 4, by="ada", reason="x", pin_it=True)
    assert model.pinned
    model = await models.promote(connection, "forest", 2, by="ada", reason="y", pin_it=True)
    assert (model.live, model.pinned) == (2, True)
    assert await history(connection) == [*PUBLISHED, ("promote", 4, "ada"), ("pin", 4, "ada"), ("promote", 2, "ada")]


@pytest.mark.parametrize(
    ("state", "why"),
    [("reserved", "still being trained"), ("failed", "was not trained: out of memory"), ("dropped", "was dropped")],
)
async def test_what_cannot_answer_is_not_promoted(connection: AsyncConnection, state: str, why: str) -> None:
    """A version without files does not go live, and nothing changes."""
    await add(connection, 5, state=state, reason="out of memory")
    with pytest.raises(ConflictError, match=why):
        await models.promote(connection, "forest", 5, by="ada", reason="x")
    assert await history(connection) == PUBLISHED


async def test_promoting_what_is_live_is_refused(connection: AsyncConnection) -> None:
    """The live version cannot be promoted; an unknown one neither, and the error names the known."""
    with pytest.raises(ConflictError, match="live already"):
        await models.promote(connection, "forest", 3, by="ada", reason="x")
    with pytest.raises(NotFoundError, match="no version 9"):
        await models.promote(connection, "forest", 9, by="ada", reason="x")
    with pytest.raises(NotFoundError, match="known are forest"):
        await models.promote(connection, "tree", 1, by="ada", reason="x")


async def test_a_first_version_may_be_promoted(connection: AsyncConnection) -> None:
    """A model of which no version ever passed the gate goes live by a person's word."""
    await connection.execute(text("DELETE FROM rookery.live_models"))
    assert (await models.get_model(connection, "forest")).live is None
    model = await models.promote(connection, "forest", 4, by="ada", reason="x")
    assert (model.live, model.previous, model.trail) == (4, None, [4])


async def test_rolling_back_goes_further_back_each_time(connection: AsyncConnection) -> None:
    """What was left behind is not gone back to: 3 to 2 to 1, and then there is nothing before."""
    model = await models.rollback(connection, "forest", by="ada", reason="odd answers")
    assert (model.live, model.previous, model.trail) == (2, 1, [2, 1])
    assert (model.decided_by, model.decision) == ("ada", "rollback")
    model = await models.rollback(connection, "forest", by="ada", reason="still odd")
    assert (model.live, model.previous, model.trail) == (1, None, [1])
    with pytest.raises(ConflictError, match="was live before 1"):
        await models.rollback(connection, "forest", by="ada", reason="x")
    assert await history(connection) == [*PUBLISHED, ("rollback", 2, "ada"), ("rollback", 1, "ada")]


async def test_rolling_back_to_a_named_version(connection: AsyncConnection) -> None:
    """An earlier version that was live can be named; one that never was, or is live, is refused."""
    with pytest.raises(ConflictError, match="never live"):
        await models.rollback(connection, "forest", by="ada", reason="x", version=4)
    with pytest.raises(ConflictError, match="live already"):
        await models.rollback(connection, "forest", by="ada", reason="x", version=3)
    model = await models.rollback(connection, "forest", by="ada", reason="x", version=1)
    assert (model.live, model.previous, model.trail) == (1, None, [1])


async def test_rolling_back_needs_a_live_version(connection: AsyncConnection) -> None:
    """A model without a live version has nothing to go back from, an unknown model is not found."""
    await connection.execute(text("DELETE FROM rookery.live_models"))
    with pytest.raises(ConflictError, match="is live yet"):
        await models.rollback(connection, "forest", by="ada", reason="x")
    with pytest.raises(NotFoundError, match="no model tree"):
        await models.rollback(connection, "tree", by="ada", reason="x")


async def test_pinning_and_unpinning(connection: AsyncConnection) -> None:
    """A pin is set once and taken away once; which version is live does not change, nor what the folder says."""
    before = await live_row(connection, "forest")
    assert (await models.pin(connection, "forest", by="ada", reason="audit")).pinned
    with pytest.raises(ConflictError, match="pinned to 3 already"):
        await models.pin(connection, "forest", by="bob", reason="x")
    assert not (await models.unpin(connection, "forest", by="bob", reason="audit is over")).pinned
    with pytest.raises(ConflictError, match="is not pinned"):
        await models.unpin(connection, "forest", by="bob", reason="x")
    assert await live_row(connection, "forest") == before
    assert await history(connection) == [*PUBLISHED, ("pin", 3, "ada"), ("unpin", 3, "bob")]


async def test_a_shadow_runs_beside_the_live_version(connection: AsyncConnection) -> None:
    """A held version may see a share of the requests; ending that takes both away."""
    model = await models.shadow(connection, "forest", 4, share=0.25, by="ada", reason="to see")
    assert (model.candidate, model.shadow_share, model.live) == (4, 0.25, 3)
    assert (await models.get_version(connection, "forest", 4)).role == "candidate"
    model = await models.shadow(connection, "forest", None, share=0.25, by="ada", reason="")
    assert (model.candidate, model.shadow_share) == (None, 0.0)
    told = [one.reason for one in await models.history(connection) if one.action == "shadow"]
    assert told == ["ended", "25% of requests: to see"]


@pytest.mark.parametrize(
    ("version", "share", "why"), [(3, 0.5, "is live"), (4, 0.0, "above 0"), (4, 1.5, "at most 1"), (None, 0.5, "runs")]
)
async def test_a_shadow_that_makes_no_sense_is_refused(
    connection: AsyncConnection, version: int | None, share: float, why: str
) -> None:
    """The live version is no shadow of itself, a share is above 0 and at most 1, none cannot be ended."""
    with pytest.raises(ConflictError, match=why):
        await models.shadow(connection, "forest", version, share=share, by="ada", reason="x")


async def test_a_promoted_shadow_is_no_shadow_any_more(connection: AsyncConnection) -> None:
    """The version that goes live leaves its place beside the live one, and no share of requests is left for none."""
    await models.shadow(connection, "forest", 4, share=0.25, by="ada", reason="")
    model = await models.promote(connection, "forest", 4, by="ada", reason="agrees")
    assert (model.live, model.candidate, model.shadow_share) == (4, None, 0.0)


async def test_keeping_a_held_version_held(connection: AsyncConnection) -> None:
    """A held version that was decided about waits for nobody; one that is not held cannot be kept held."""
    model = await models.keep(connection, "forest", 4, by="ada", reason="too small")
    assert (model.held, model.live) == ([], 3)
    assert (await models.get_version(connection, "forest", 4)).state == "held"
    with pytest.raises(ConflictError, match="is not held, it is live"):
        await models.keep(connection, "forest", 3, by="ada", reason="x")


async def test_the_history_is_only_added_to(connection: AsyncConnection) -> None:
    """No decision changes an entry that is there, and each says until when its version was live."""
    before = await models.history(connection)
    await models.rollback(connection, "forest", by="ada", reason="x")
    await models.pin(connection, "forest", by="ada", reason="y")
    after = await models.history(connection)
    assert [(one.id, one.at, one.reason) for one in after[2:]] == [(one.id, one.at, one.reason) for one in before]
    pinned, rolled, third, second, first = after
    assert (pinned.until, rolled.until) == (None, None)
    assert (third.until, second.until, first.until) == (rolled.at, third.at, second.at)
    page = await models.history(connection, model="forest", before=third.at, limit=1)
    assert [one.id for one in page] == [second.id]


async def test_versions_are_paged(connection: AsyncConnection) -> None:
    """Versions come newest first, before a number; what is still being trained is not among them."""
    await add(connection, 5, state="reserved")
    found = await models.list_versions(connection, "forest", before=4, limit=2)
    assert [version.version for version in found] == [3, 2]
    assert [version.version for version in await models.list_versions(connection, "forest")] == [4, 3, 2, 1]
