"""NDJSON in, NDJSON out: a line per record, answered while more come, however many there are.

Each line is answered on its own: a record that cannot be answered gets a problem on its line, and the next one goes on.
The whole stream is answered by the version that was live when it began.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from common.errors import RecordError
from services.inference.batching import Outcome
from services.inference.service import SLICE_RECORDS, Service
from services.inference.serving.serving_map import Served
from services.inference.shadowing import shadow
from services.inference.web.answers import Answer, Streamed
from services.inference.web.bodies import BODY_GRACE_S, tell_to_send
from services.inference.web.calls import Call, asked_model
from services.inference.web.negotiation import NDJSON
from services.inference.web.problems import ProblemError

_LONGEST_LINE_BYTES = 256 * 1024
_record = msgspec.json.Decoder(dict[str, Any])
_records = msgspec.json.Decoder(list[dict[str, Any]])


async def predict(service: Service, call: Call) -> Answer:
    """Answers a stream of records."""
    if call.request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProblemError(415, "a stream of records cannot be compressed; send it without Content-Encoding")
    served = await service.pick(asked_model(call, None))
    if not call.request.content.at_eof():
        tell_to_send(call.request)
    return Streamed(_answered(service, served, call.request), content_type=NDJSON)


async def _answered(service: Service, served: Served, request: web.BaseRequest) -> AsyncIterator[bytes]:
    """The answers' lines, some at a time."""
    start = 0
    try:
        async for lines in _lines(request):
            for at in range(0, len(lines), SLICE_RECORDS):
                part = lines[at : at + SLICE_RECORDS]
                yield await _answer(service, served, part, start)
                start += len(part)
                await asyncio.sleep(0)
    except ProblemError as error:
        # The head has gone out: what ends the stream is its last line.
        yield _problem_line(error.status, error.message, {"record": start})


async def _lines(request: web.BaseRequest) -> AsyncIterator[list[bytes]]:
    """The lines that have arrived, blank ones left out. Raises ProblemError for one that is too long or too slow."""
    rest = b""
    while not request.content.at_eof():
        try:
            async with asyncio.timeout(BODY_GRACE_S):
                piece = await request.content.readany()
        except TimeoutError as error:
            raise ProblemError(408, f"nothing came for {BODY_GRACE_S:.0f} s") from error
        except web.RequestPayloadError as error:
            raise ProblemError(400, "the stream ended early or is badly framed") from error
        *lines, rest = (rest + piece).split(b"\n")
        yield [line for line in lines if line.strip()]
        if len(rest) > _LONGEST_LINE_BYTES:
            raise ProblemError(413, f"a line is longer than {_LONGEST_LINE_BYTES} bytes")
    if rest.strip():
        yield [rest]


async def _answer(service: Service, served: Served, lines: list[bytes], start: int) -> bytes:
    """The answers to some lines; `start` is the index of the first."""
    try:
        records = _records.decode(b"[" + b",".join(lines) + b"]")
        matrix = served.encoder.encode(records)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, RecordError):
        return await _answer_each(service, served, lines, start)
    if len(matrix) != len(lines):
        # A line with a comma at its top level is several records to the list's decoder.
        return await _answer_each(service, served, lines, start)
    outcome = await service.slice(served, matrix)
    if served.model in service.serving.shadowed:
        shadow(service, served, matrix, outcome, lambda candidate: candidate.encoder.encode(records))
    return _answer_lines(served, outcome)


async def _answer_each(service: Service, served: Served, lines: list[bytes], start: int) -> bytes:
    """The answers to lines of which some cannot be answered."""
    answers: list[bytes] = []
    for index, line in enumerate(lines, start):
        try:
            matrix = served.encoder.encode([_record.decode(line)])
        except RecordError as error:
            message = error.message.removeprefix("record 0: ")
            members = {"record": index, "field": error.field, **({"known": error.known} if error.known else {})}
            answers.append(_problem_line(422, message, members))
        except msgspec.ValidationError as error:
            answers.append(_problem_line(422, str(error), {"record": index}))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            answers.append(_problem_line(400, f"the line is no valid JSON: {error}", {"record": index}))
        else:
            answers.append(_answer_lines(served, await service.slice(served, matrix)))
    return b"".join(answers)


def _answer_lines(served: Served, outcome: Outcome) -> bytes:
    lines: list[dict[str, Any]]
    lines = [{"model": served.model, "version": served.version, "prediction": label} for label in outcome.labels]
    if outcome.probabilities is not None:
        for line, row in zip(lines, outcome.probabilities, strict=True):
            line["probabilities"] = row
    return msgspec.json.Encoder().encode_lines(lines)


def _problem_line(status: int, detail: str, members: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"status": status, "detail": detail, **members}) + b"\n"
