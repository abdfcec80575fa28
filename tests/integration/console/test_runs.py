"""Runs and events over REST: asking, looking, deciding about dead letters."""

from typing import Any
from uuid import uuid4

import msgspec

from common.settings import Settings
from tests.integration.console.conftest import Console, opened


async def begun(console: Console, **asked: Any) -> str:
    """A run that was asked for."""
    answer = await console.post("/api/runs", {"dataset": "penguins", **asked}, 202)
    return str(answer["run"])


async def killed(console: Console) -> str:
    """A run whose first event is a dead letter."""
    run = await begun(console, force=True)
    await console.run(
        "UPDATE rookery.events SET dead_at = clock_timestamp(), attempts = 5, error = 'Read-only file system',"
        ' errors = \'[{"error": "Read-only file system"}]\' WHERE correlationid = CAST(:run AS uuid)',
        run=run,
    )
    return run


async def test_a_run_is_asked_for(console: Console) -> None:
    """A run that is asked for begins with a published request, and says who asked."""
    answer = await console.post("/api/runs", {"dataset": "penguins"}, 202, headers={"X-Rookery-Actor": "ada"})
    assert answer["delivered"] is True
    detail = await console.get(f"/api/runs/{answer['run']}")
    assert (detail["run"]["state"], detail["run"]["requested_by"], detail["run"]["urgent"]) == ("running", "ada", True)
    assert [event["type"] for event in detail["events"]] == ["ingest.requested"]
    listed = await console.get("/api/runs")
    assert [run["id"] for run in listed["runs"]] == [answer["run"]]


async def test_a_run_is_found_by_the_end_of_its_id(console: Console) -> None:
    """The last six digits address a run; what names none is not found, in words."""
    run = await begun(console)
    assert (await console.get(f"/api/runs/{run[-6:]}"))["run"]["id"] == run
    for path in ("/api/runs/zzzzzz", f"/api/runs/{uuid4()}", "/api/runs/zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"):
        await console.get(path, 404)


async def test_runs_are_narrowed_and_paged(console: Console) -> None:
    """State, data set and text narrow the list; `next` is the cursor of the following page."""
    runs = [await begun(console, force=True) for _ in range(3)]
    first = await console.get("/api/runs?limit=2")
    assert [run["id"] for run in first["runs"]] == [runs[2], runs[1]]
    rest = await console.get("/api/runs", params={"limit": 2, "before": first["next"]})
    assert [run["id"] for run in rest["runs"]] == [runs[0]]
    assert (await console.get("/api/runs?dataset=wine"))["runs"] == []
    assert (await console.get("/api/runs?state=failed"))["runs"] == []
    assert len((await console.get(f"/api/runs?q={runs[0]}"))["runs"]) == 1


async def test_the_log_of_a_run(console: Console) -> None:
    """A run's log lines are those of all services that carry its id; without any the list is empty."""
    run = await begun(console)
    assert (await console.get(f"/api/runs/{run}/log"))["lines"] == []


async def test_a_run_of_what_is_unknown_or_not_possible_yet(console: Console) -> None:
    """An unknown data set, a stage without a snapshot and an unknown stage are refused, each with what is known."""
    refused = await console.post("/api/runs", {"dataset": "wine"}, 404)
    assert "known are penguins" in refused["detail"]
    await console.post("/api/runs", {"dataset": "penguins", "stage": "train"}, 404)
    refused = await console.post("/api/runs", {"dataset": "penguins", "stage": "serve"}, 422)
    assert refused["errors"][0]["field"] == "stage"


async def test_events_are_narrowed(console: Console) -> None:
    """The tail is narrowed by type or its first word, run and text; one event tells what it led to."""
    run = await begun(console)
    for query in ("type=ingest.requested", "type=ingest", f"run={run}", "q=penguins", "dataset=penguins"):
        assert [event["run"] for event in (await console.get(f"/api/events?{query}"))["events"]] == [run], query
    for query in ("type=model", f"run={uuid4()}", "q=zebra", "dataset=wine"):
        assert (await console.get(f"/api/events?{query}"))["events"] == [], query
    shown = await console.get(f"/api/events/{run}")
    assert (shown["event"]["type"], shown["led_to"]) == ("ingest.requested", [])
    rate = await console.get("/api/events/rate")
    assert (len(rate), sum(rate)) == (60, 1)


async def test_events_that_are_none(console: Console) -> None:
    """What is no id, no event, no run or no parameter is refused in words."""
    await console.get("/api/events/zzz", 404)
    await console.get(f"/api/events/{uuid4()}", 404)
    await console.get("/api/events?run=zzz", 422)
    await console.get("/api/events?kind=ingest", 422)


async def test_a_dead_letter_is_retried(console: Console) -> None:
    """A dead letter names its likely cause; a retry takes it off the list and publishes it."""
    run = await killed(console)
    (dead,) = await console.get("/api/events/dead")
    assert (dead["event"]["id"], dead["attempts"]) == (run, 5)
    assert "cannot be written" in dead["cause"]
    assert await console.post(f"/api/events/{run}/retry", status=202) == {"event": run, "delivered": True}
    assert await console.get("/api/events/dead") == []
    await console.post(f"/api/events/{run}/retry", status=409)


async def test_a_dead_letter_is_discarded(console: Console) -> None:
    """A discarded letter leaves the list and says who discarded it; there is nothing left to decide."""
    run = await killed(console)
    await console.post(f"/api/events/{run}/discard", headers={"X-Rookery-Actor": "ada"})
    assert await console.get("/api/events/dead") == []
    event = (await console.get(f"/api/events/{run}"))["event"]
    assert event["state"] == "discarded"
    assert event["error"].endswith("discarded by ada")
    await console.post(f"/api/events/{run}/discard", status=409)
    await console.post(f"/api/events/{uuid4()}/discard", status=404)


async def test_without_redis_a_run_is_kept(penguins: Settings) -> None:
    """While Redis is away a run is taken all the same and kept: the sweep delivers it."""
    away = msgspec.structs.replace(penguins, redis_url="redis://127.0.0.1:9/0")
    async with opened(away) as console:
        answer = await console.post("/api/runs", {"dataset": "penguins"}, 202)
        assert answer["delivered"] is False
        assert (await console.get(f"/api/runs/{answer['run']}"))["run"]["state"] == "running"


async def test_without_postgres_the_console_says_so(penguins: Settings) -> None:
    """While Postgres is away what needs it is a 503 that says it; the process is alive, and health names the part."""
    away = msgspec.structs.replace(penguins, database_url="postgresql://nobody:x@127.0.0.1:9/none")
    async with opened(away) as console:
        for path in ("/api/runs", "/api/models", "/api/overview", "/api/datasets"):
            assert "Postgres does not answer" in (await console.get(path, 503))["detail"], path
        states = {part["name"]: part["state"] for part in await console.get("/api/health")}
        assert (states["postgres"], states["redis"]) == ("down", "ok")
        await console.get("/health")
