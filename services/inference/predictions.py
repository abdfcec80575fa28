"""POST /predict and /predict/compare: records in, answers out."""

import asyncio
from collections import Counter
from time import perf_counter
from typing import Any

from common.errors import RecordError
from common.features import Floats
from services.inference import schemas
from services.inference.batching import Outcome
from services.inference.envelope import encoded_part
from services.inference.service import Service
from services.inference.serving.serving_map import Served
from services.inference.web.answers import JSON, Answer
from services.inference.web.bodies import media_type, read_body
from services.inference.web.calls import Call
from services.inference.web.problems import ProblemError, unavailable

# A body beyond this is decoded and answered in slices. 400 records of the built-in example are that long.
LARGE_BODY_BYTES = 64 * 1024
SLICE_RECORDS = 256
MOST_LARGE_WAITING = 16
_MOST_SHADOWS = 64
_MOST_COMPARED = 16


async def predict(service: Service, call: Call) -> Answer:
    """Answers records with one model."""
    body = await read_body(call.request)
    _must_be_json(call)
    if len(body) > LARGE_BODY_BYTES:
        return await _predict_large(service, call, body)
    decoded = schemas.read(body)
    served = await service.pick(_asked(call, decoded.model))
    matrix = served.encoder.encode(decoded.records)
    outcome = await served.batcher.submit(matrix)
    account(service, served, outcome)
    if served.model in service.serving.shadowed:
        shadow(service, served, matrix, outcome, decoded.records)
    return Answer(served.envelope.document(outcome))


async def compare(service: Service, call: Call) -> Answer:
    """Answers the same records with several models, and says for each record whether they agree."""
    body = await read_body(call.request)
    _must_be_json(call)
    decoded = schemas.read(body)
    models = await _compared(service, call)
    matrices: dict[object, Floats] = {}
    answers = []
    for served in models:
        features = served.manifest.features
        if features not in matrices:
            matrices[features] = served.encoder.encode(decoded.records)
        answers.append(served.batcher.submit(matrices[features]))
    outcomes = [await answer for answer in answers]
    for served, outcome in zip(models, outcomes, strict=True):
        account(service, served, outcome)
    agree = [len(set(labels)) == 1 for labels in zip(*(outcome.labels for outcome in outcomes), strict=True)]
    documents = [served.envelope.document(outcome) for served, outcome in zip(models, outcomes, strict=True)]
    summary = (f'],"agreement":{sum(agree) / len(agree)},"agree":{str(agree).lower()}' + "}").encode()
    return Answer(b'{"results":[' + b",".join(documents) + summary)


async def _compared(service: Service, call: Call) -> list[Served]:
    """The versions to compare: those named, else the live ones of the default model's data set."""
    names = call.asked_all("models")
    if len(names) > _MOST_COMPARED:
        raise ProblemError(422, f"at most {_MOST_COMPARED} models can be compared at once", field="models")
    if names:
        return [await service.pick(name) for name in names]
    default = await service.pick(None)
    live = [view.live for _, view in sorted(service.serving.models.items()) if view.live is not None]
    return [served for served in live if served.manifest.dataset == default.manifest.dataset]


async def _predict_large(service: Service, call: Call, body: bytes) -> Answer:
    """Answers many records in slices; between two of them the loop serves others. One such request at a time."""
    if service.large_waiting >= MOST_LARGE_WAITING:
        raise unavailable(f"{MOST_LARGE_WAITING} large requests are waiting already")
    service.large_waiting += 1
    try:
        async with service.large:
            decoded = schemas.read_raw(body)
            served = await service.pick(_asked(call, decoded.model))
            parts = []
            for start in range(0, len(decoded.records), SLICE_RECORDS):
                await asyncio.sleep(0)
                records = schemas.read_slice(decoded.records[start : start + SLICE_RECORDS], start)
                try:
                    matrix = served.encoder.encode(records)
                except RecordError as error:
                    raise moved(error, start) from error
                outcome = await served.batcher.aside(matrix, service.workers)
                account(service, served, outcome)
                parts.append(encoded_part(outcome))
    finally:
        service.large_waiting -= 1
    return Answer(served.envelope.joined(parts))


def moved(error: RecordError, start: int) -> RecordError:
    """A slice's problem with the record's index in the whole request."""
    message = error.message.removeprefix(f"record {error.record}: ")
    record = start + error.record
    return RecordError(f"record {record}: {message}", record=record, field=error.field, known=error.known)


def account(service: Service, served: Served, outcome: Outcome) -> None:
    """Counts answers by class."""
    if not served.manifest.classes:
        return
    if len(outcome.labels) == 1:
        service.metrics.predicted(served.model, served.version, outcome.labels[0], 1)
        return
    for label, count in Counter(outcome.labels).items():
        service.metrics.predicted(served.model, served.version, label, count)


def shadow(service: Service, served: Served, matrix: Floats, outcome: Outcome, records: list[dict[str, Any]]) -> None:
    """Lets the candidate answer a share of the live version's requests too, unseen and after them."""
    view = service.serving.models[served.model]
    candidate = view.candidate
    if candidate is None or view.live is not served:
        return
    credit = service.shadow_credit.get(served.model, 0.0) + view.shadow_share
    if credit >= 1.0 and len(service.background) < _MOST_SHADOWS:
        if candidate.manifest.features != served.manifest.features:
            try:
                matrix = candidate.encoder.encode(records)
            except RecordError:
                # It knows other features and cannot answer what the live version could.
                pair = (served.model, served.version, candidate.version)
                service.metrics.shadowed(pair, 0, len(records), 0.0)
                return
        task = asyncio.get_running_loop().create_task(_run_shadow(service, served, candidate, matrix, outcome))
        service.background.add(task)
        task.add_done_callback(service.background.discard)
        credit -= 1.0
    service.shadow_credit[served.model] = min(credit, 1.0)


async def _run_shadow(service: Service, served: Served, candidate: Served, matrix: Floats, outcome: Outcome) -> None:
    started = perf_counter()
    theirs = await candidate.batcher.submit(matrix)
    agreed = sum(mine == other for mine, other in zip(outcome.labels, theirs.labels, strict=True))
    differed = len(outcome.labels) - agreed
    pair = (served.model, served.version, candidate.version)
    service.metrics.shadowed(pair, agreed, differed, perf_counter() - started)


def _must_be_json(call: Call) -> None:
    """Raises ProblemError 415 for a body of another kind."""
    kind = media_type(call.request)
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise ProblemError(415, f"the body's type is {kind or 'not stated'}; send Content-Type: application/json")


def _asked(call: Call, in_body: str | None) -> str | None:
    """The model's name from query or body. Raises ProblemError where they contradict each other."""
    in_query = call.asked("model")
    if in_query and in_body and in_query != in_body:
        raise ProblemError(422, f"the query asks for {in_query!r}, the body for {in_body!r}", field="model")
    return in_query or in_body or None
