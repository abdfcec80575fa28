"""Asking the models: the page's requests, passed on to inference, one per model, so that each says how long it took."""

import asyncio
import time
from typing import Any

import msgspec
from aiohttp import ClientError

from services.console.web.problems import ProblemError
from services.console.web.routing import Call

_MOST_MODELS = 24


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records, and the models to ask: `name` or `name@version`."""

    records: list[dict[str, Any]]
    models: list[str]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What one model answered: its answer, or the problem it named."""

    model: str
    status: int
    milliseconds: float
    answer: dict[str, Any]


async def ask(call: Call) -> list[Answered]:
    """Asks each model for the same records."""
    asked: Ask = call.body
    if not asked.models:
        raise ProblemError(422, "name at least one model")
    if len(asked.models) > _MOST_MODELS:
        raise ProblemError(422, f"at most {_MOST_MODELS} models can be asked at once")
    body = msgspec.json.encode({"records": asked.records})
    return list(await asyncio.gather(*(_ask_one(call, model, body) for model in asked.models)))


async def show_serving(call: Call) -> dict[str, Any]:
    """What inference serves: its `/models`, and where it is."""
    return {
        "url": call.parts.settings.inference_url,
        "now": call.parts.serving.now(),
        **call.parts.serving.models,
    }


async def _ask_one(call: Call, model: str, body: bytes) -> Answered:
    began = time.perf_counter()
    try:
        async with call.parts.inference.post(
            "/predict", params={"model": model}, data=body, headers={"Content-Type": "application/json"}
        ) as answer:
            content = await answer.read()
            status = answer.status
        document = msgspec.json.decode(content, type=dict[str, Any])
    except (ClientError, OSError, TimeoutError) as error:
        raise ProblemError(
            503, f"inference does not answer at {call.parts.settings.inference_url}: {type(error).__name__}"
        ) from error
    except msgspec.MsgspecError:
        document = {"detail": "inference answered what is no JSON"}
    milliseconds = round((time.perf_counter() - began) * 1000, 2)
    return Answered(model=model, status=status, milliseconds=milliseconds, answer=document)
