"""The whole: the overview, health, queues, and the stream of what changes."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from common.operations.models import Decision, Model, history, list_models
from services.console.live.pulse import Part, address_of_redis, log_file
from services.console.live.work import Work, read_work
from services.console.reading import events as reading_events
from services.console.reading import overview as reading
from services.console.reading.attention import Item
from services.console.reading.events import EventLine
from services.console.reading.overview import DatasetLine, Stage
from services.console.reading.runs import Filters, RunsPage, list_run_lines
from services.console.web.guards import set_headers
from services.console.web.routing import Call, json_response

_COMMENT_S = 15.0
_RECONNECT_MS = 2000
_CARD_POINTS = 48


class OverviewQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The data set whose chain is shown; the default one where none is named."""

    dataset: str = ""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the first page shows."""

    at: datetime
    attention: list[Item]
    datasets: list[DatasetLine]
    dataset: str
    stages: dict[str, Stage]
    expected: dict[str, float]
    models: list[Model]
    decisions: list[Decision]
    work: Work
    workers: dict[str, int]
    serving: dict[str, Any]
    series: dict[str, list[float | None]]
    runs: RunsPage
    events: list[EventLine]


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What the page needs to know of this installation."""

    inference_url: str
    flower_url: str
    redis: str
    logs: dict[str, str]
    token_needed: bool
    shared_dir: str
    version: str


async def overview(call: Call) -> Overview:
    """The first page."""
    parts = call.parts
    async with parts.engine.connect() as connection:
        datasets = await reading.dataset_lines(connection, parts.settings)
        chosen = next((line for line in datasets if line.name == call.query.dataset), datasets[0] if datasets else None)
        models = await list_models(connection)
        return Overview(
            at=datetime.now(UTC),
            attention=await reading.attention_items(connection, models, datasets),
            datasets=datasets,
            dataset=chosen.name if chosen else "",
            stages=await reading.stages(connection, chosen.name) if chosen else {},
            expected=await reading.expected_seconds(connection),
            models=models,
            decisions=await history(connection, limit=8),
            work=await read_work(connection, parts.redis),
            workers=parts.pulse.workers,
            serving=parts.serving.now(),
            series={model.name: parts.serving.series(model.name, points=_CARD_POINTS)["rate"] for model in models},
            runs=await list_run_lines(connection, Filters(), limit=8),
            events=await reading_events.list_event_lines(connection, reading_events.Filters(), limit=14),
        )


async def show_health(call: Call) -> list[Part]:
    """Whether the parts of the installation work."""
    return await call.parts.pulse.look()


async def show_queues(call: Call) -> Work:
    """What is under way and what waits."""
    async with call.parts.engine.connect() as connection:
        return await read_work(connection, call.parts.redis)


async def show_info(call: Call) -> Info:
    """Addresses, and whether a token is needed to change something."""
    settings = call.parts.settings
    names = ("postgres", "redis", "beat", "inference", "train", "ingest", "preprocess", "console")
    return Info(
        inference_url=settings.inference_url,
        flower_url=settings.flower_url,
        redis=address_of_redis(settings),
        logs={name: path for name in names if (path := log_file(settings, name))},
        token_needed=bool(settings.console_token),
        shared_dir=settings.shared_dir,
        version="0.1.0",
    )


async def check_token(call: Call) -> dict[str, bool]:
    """Answers where the guard let the request through: the token is right."""
    del call
    return {"ok": True}


async def health(call: Call) -> web.Response:
    """This process answers; whether PostgreSQL does, it says but does not fail for: pages explain that better."""
    del call
    return json_response({"status": "ok", "time": time.time()})


async def stream(call: Call) -> web.StreamResponse:
    """Server-sent events: `event`, `settled`, `queues`, `serving`, `health`, `source`, `reset`."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    set_headers(response)
    await response.prepare(call.request)
    last = call.request.headers.get("Last-Event-ID", "")
    async with call.parts.hub.listen(last[:100]) as listener:
        await response.write(f"retry: {_RECONNECT_MS}\n\n".encode())
        while not listener.closed:
            messages = await listener.take(_COMMENT_S)
            try:
                await response.write(b"".join(message.encoded() for message in messages) or b": still here\n\n")
            except ConnectionError:
                break
    return response
