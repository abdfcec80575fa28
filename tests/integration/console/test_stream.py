"""The stream of what changes: server-sent events, and resuming after the last one heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import ClientResponse

from common.settings import Settings
from tests.integration.console.conftest import Console, opened

Heard = dict[str, Any]


async def begun(console: Console) -> str:
    """A run that was asked for, which makes one event."""
    answer = await console.post("/api/runs", {"dataset": "penguins", "force": True}, 202)
    return str(answer["run"])


@asynccontextmanager
async def listening(console: Console, last: str = "") -> AsyncIterator[ClientResponse]:
    """An open stream."""
    async with console.client.get("/api/stream", headers={"Last-Event-ID": last} if last else {}) as response:
        assert response.content_type == "text/event-stream"
        yield response


async def hear(response: ClientResponse, name: str, seconds: float = 15.0) -> Heard:
    """The next message of a name, with its data and id."""
    message: Heard = {}
    async with asyncio.timeout(seconds):
        while True:
            line = (await response.content.readline()).decode().rstrip("\n")
            if not line:
                if message.get("event") == name:
                    return message
                message = {}
            elif not line.startswith(":"):
                field, _, value = line.partition(": ")
                message[field] = msgspec.json.decode(value) if field == "data" else value


async def test_what_happens_is_told(console: Console) -> None:
    """An open page hears of an event with its stream id, of the work under way, of health and of serving."""
    async with listening(console) as stream:
        assert (await hear(stream, "source"))["data"] == {"source": "redis"}
        run = await begun(console)
        told = await hear(stream, "event")
        assert (told["data"]["run"], told["data"]["type"]) == (run, "ingest.requested")
        assert told["id"].partition("-")[0].isdigit()
        while not (told := await hear(stream, "queues"))["data"]["open"]:
            pass  # what was looked at before the run began
        assert [event["run"] for event in told["data"]["open"]] == [run]
    async with listening(console) as stream:
        assert "postgres" in {part["name"] for part in (await hear(stream, "health"))["data"]}
    async with listening(console) as stream:
        assert (await hear(stream, "serving"))["data"]["up"] is False


async def test_a_page_resumes_after_what_it_heard(console: Console) -> None:
    """A page that was away hears what it missed, in order and nothing twice."""
    async with listening(console) as stream:
        await hear(stream, "source")
        await begun(console)
        last = (await hear(stream, "event"))["id"]
    missed = [await begun(console) for _ in range(3)]
    async with listening(console, last) as stream:
        assert [(await hear(stream, "event"))["data"]["run"] for _ in missed] == missed
        later = await begun(console)
        assert (await hear(stream, "event"))["data"]["run"] == later


async def test_a_page_that_was_away_too_long_reads_anew(console: Console) -> None:
    """An id that is no id, or older than what the stream still has, is answered with a reset."""
    await begun(console)
    for last in ("zzz", "1-0"):
        async with listening(console, last) as stream:
            assert (await hear(stream, "reset"))["data"]["why"]


async def test_how_an_event_ended_is_told(console: Console) -> None:
    """What is open no more is told once, as it ended."""
    run = await begun(console)
    async with listening(console) as stream:
        await hear(stream, "queues")
        await console.run("UPDATE rookery.events SET handled_at = clock_timestamp(), result = 'handled'")
        await begun(console)
        settled = await hear(stream, "settled")
        assert (settled["data"]["id"], settled["data"]["state"]) == (run, "done")


async def test_without_redis_postgres_is_tailed(penguins: Settings) -> None:
    """While Redis is away the same messages come from Postgres, and the stream says so."""
    away = msgspec.structs.replace(penguins, redis_url="redis://127.0.0.1:9/0")
    async with opened(away) as console, listening(console) as stream:
        assert (await hear(stream, "source"))["data"] == {"source": "postgres"}
        run = await begun(console)
        assert (await hear(stream, "event"))["data"]["run"] == run


async def test_the_end_of_the_console_ends_the_stream(console: Console) -> None:
    """A console that ends closes the streams: the page connects again, to the next one."""
    async with listening(console) as stream:
        await hear(stream, "source")
        await console.parts.hub.close()
        async with asyncio.timeout(10):
            await stream.read()
