"""POST /predict and /predict/compare: records in, answers out, in JSON; other forms are passed on to their modules."""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from common.errors import RecordError
from common.features import Floats
from services.inference import schemas, streams, tabular
from services.inference.envelope import encoded_part
from services.inference.service import SLICE_RECORDS, Service
from services.inference.serving.serving_map import Served
from services.inference.shadowing import shadow
from services.inference.web.answers import JSON, Answer
from services.inference.web.bodies import media_type, must_be_json, read_body
from services.inference.web.calls import Call, asked_model
from services.inference.web.negotiation import CSV, NDJSON_TYPES, preferred
from services.inference.web.problems import ProblemError

# A body beyond this is decoded and answered in slices. 400 records of the built-in example are that long.
LARGE_BODY_BYTES = 64 * 1024
_MOST_COMPARED = 16


async def predict(service: Service, call: Call) -> Answer:
    """Answers records with one model."""
    kind = media_type(call.request)
    if kind in NDJSON_TYPES:
        return await streams.predict(service, call)
    body = await read_body(call.request)
    if kind == CSV:
        return await tabular.predict(service, call, body)
    must_be_json(kind)
    wanted = call.request.headers.get("Accept")
    if wanted is not None and "csv" in wanted and preferred(wanted, (JSON, CSV)) == CSV:
        return await tabular.predict_records(service, call, body)
    if len(body) > LARGE_BODY_BYTES:
        return await _predict_large(service, call, body)
    served, matrix = await _read(service, call, body)
    outcome = await served.batcher.submit(matrix)
    service.account(served, outcome)
    if served.model in service.serving.shadowed:
        shadow(service, served, matrix, outcome, lambda candidate: candidate.reader.read(body)[0])
    return Answer(served.envelope.document(outcome))


async def _read(service: Service, call: Call, body: bytes) -> tuple[Served, Floats]:
    """The version that is asked for and the records encoded for it: decoded once, unless the body names another."""
    in_query = call.asked("model") or None
    served = await service.pick(in_query)
    try:
        matrix, in_body = served.reader.read(body)
    except RecordError:
        # Its records may be those of another model, which it names.
        in_body = schemas.read(body).model
        if not in_body or in_body == in_query:
            raise
    if not in_body or in_body == in_query:
        return served, matrix
    served = await service.pick(asked_model(call, in_body))
    matrix, _ = served.reader.read(body)
    return served, matrix


async def compare(service: Service, call: Call) -> Answer:
    """Answers the same records with several models, and says for each record whether they agree."""
    body = await read_body(call.request)
    must_be_json(media_type(call.request))
    models = await _compared(service, call, schemas.models_in(body))
    matrices: dict[object, Floats] = {}
    answers = []
    for served in models:
        features = served.manifest.features
        if features not in matrices:
            matrices[features], _ = served.reader.read(body)
        answers.append(served.batcher.submit(matrices[features]))
    outcomes = [await answer for answer in answers]
    for served, outcome in zip(models, outcomes, strict=True):
        service.account(served, outcome)
    agree = [len(set(labels)) == 1 for labels in zip(*(outcome.labels for outcome in outcomes), strict=True)]
    documents = [served.envelope.document(outcome) for served, outcome in zip(models, outcomes, strict=True)]
    summary = (f'],"agreement":{sum(agree) / len(agree)},"agree":{str(agree).lower()}' + "}").encode()
    return Answer(b'{"results":[' + b",".join(documents) + summary)


async def _compared(service: Service, call: Call, in_body: list[str]) -> list[Served]:
    """The versions to compare: those named in query or body, else the live ones of the default model's data set."""
    names = call.asked_all("models")
    if names and in_body and names != in_body:
        raise ProblemError(422, f"the query asks for {', '.join(names)}, the body for others", field="models")
    names = names or in_body
    if len(names) > _MOST_COMPARED:
        raise ProblemError(422, f"at most {_MOST_COMPARED} models can be compared at once", field="models")
    if names:
        return [await service.pick(name) for name in names]
    default = await service.pick(None)
    live = [view.live for _, view in sorted(service.serving.models.items()) if view.live is not None]
    return [served for served in live if served.manifest.dataset == default.manifest.dataset]


async def _predict_large(service: Service, call: Call, body: bytes) -> Answer:
    """Answers many records in slices; between two of them the loop serves others. One such request at a time."""
    async with service.large_turn():
        decoded = schemas.read_raw(body)
        served = await service.pick(asked_model(call, decoded.model))
        parts = []
        for start in range(0, len(decoded.records), SLICE_RECORDS):
            await asyncio.sleep(0)
            raws = decoded.records[start : start + SLICE_RECORDS]
            matrix = served.reader.read_slice(raws, start)
            outcome = await service.slice(served, matrix)
            if served.model in service.serving.shadowed:
                shadow(service, served, matrix, outcome, partial(_read_slice_again, raws, start))
            parts.append(encoded_part(outcome))
    return Answer(served.envelope.joined(parts))


def _read_slice_again(raws: Sequence[msgspec.Raw], start: int, candidate: Served) -> Floats:
    return candidate.reader.read_slice(raws, start)
