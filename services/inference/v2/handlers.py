"""The routes beneath /v2. Every refusal also has the protocol's `error`, a text."""

from collections.abc import Awaitable, Callable
from functools import wraps
from importlib.metadata import version as library_version
from typing import Any

import msgspec

from common.errors import RecordError
from services.inference import schemas
from services.inference.batching import Outcome
from services.inference.service import SLICE_RECORDS, Service
from services.inference.serving.serving_map import Served
from services.inference.serving.states import State
from services.inference.shadowing import shadow
from services.inference.v2.tensors import IndexRequest, InferenceRequest, WantedOutput, columns, encoded
from services.inference.web.answers import Answer
from services.inference.web.bodies import media_type, must_be_json, read_body
from services.inference.web.calls import Call
from services.inference.web.problems import ProblemError

OCTETS = "application/octet-stream"
_HEADER_LENGTH = "Inference-Header-Content-Length"
_request = msgspec.json.Decoder(InferenceRequest)
_index_request = msgspec.json.Decoder(IndexRequest)

Handler = Callable[[Service, Call], Awaitable[Answer]]


def speaking_v2(handler: Handler) -> Handler:
    """Lets a handler's refusals carry the protocol's `error` too."""

    @wraps(handler)
    async def speaking(service: Service, call: Call) -> Answer:
        try:
            return await handler(service, call)
        except ProblemError as error:
            members = {"error": error.message, **error.members}
            raise ProblemError(
                error.status, error.message, headers=error.headers, close=error.close, **members
            ) from error
        except RecordError as error:
            known: dict[str, Any] = {"known": list(error.known)} if error.known else {}
            raise ProblemError(
                422, error.message, error=error.message, record=error.record, field=error.field, **known
            ) from error

    return speaking


@speaking_v2
async def server(service: Service, call: Call) -> Answer:
    """What this server is."""
    del service, call
    document = {
        "name": "rookery",
        "version": library_version("rookery"),
        "extensions": ["binary_tensor_data", "model_repository"],
    }
    return Answer(msgspec.json.encode(document))


@speaking_v2
async def live(service: Service, call: Call) -> Answer:
    """The process answers."""
    del service, call
    return Answer(b'{"live":true}')


@speaking_v2
async def ready(service: Service, call: Call) -> Answer:
    """A model is live."""
    del call
    if service.serving.default is None:
        raise service.no_model_yet()
    return Answer(b'{"ready":true}')


@speaking_v2
async def index(service: Service, call: Call) -> Answer:
    """All managed versions."""
    only_ready = _index_filter(await read_body(call.request))
    states = {"ready": "READY", "loading": "LOADING", "new": "LOADING"}
    entries = [
        {
            "name": harness.model,
            "version": str(harness.version),
            "state": states.get(harness.state.value, "UNAVAILABLE"),
            "reason": harness.reason,
        }
        for harness in service.manager.managed()
        if not only_ready or harness.state is State.READY
    ]
    return Answer(msgspec.json.encode(entries))


@speaking_v2
async def metadata(service: Service, call: Call) -> Answer:
    """Inputs and outputs of a model."""
    served = await _picked(service, call)
    manifest = served.manifest
    outputs: list[dict[str, Any]] = [
        {"name": "predictions", "datatype": "BYTES" if manifest.classes else "FP64", "shape": [-1]}
    ]
    if manifest.samples.probabilities:
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, len(manifest.classes)]})
    document = {
        "name": served.model,
        "versions": sorted(
            {str(ready.version) for ready in service.serving.ready.values() if ready.model == served.model}
        ),
        "platform": "rookery",
        "inputs": [
            {"name": feature.name, "datatype": "FP64" if feature.kind == "numeric" else "BYTES", "shape": [-1]}
            for feature in manifest.features
        ],
        "outputs": outputs,
    }
    return Answer(msgspec.json.encode(document))


@speaking_v2
async def model_ready(service: Service, call: Call) -> Answer:
    """A model answers."""
    served = await _picked(service, call)
    return Answer(msgspec.json.encode({"name": served.model, "ready": True}))


@speaking_v2
async def infer(service: Service, call: Call) -> Answer:
    """Answers columns of records."""
    body = await read_body(call.request)
    request, blob = _split(call, body)
    served = await _picked(service, call)
    given = columns(request.inputs, blob)
    known = {feature.name for feature in served.manifest.features}
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        raise ProblemError(422, f"input {unknown!r} is none of {served.model}", field=unknown, known=sorted(known))
    matrix = served.encoder.encode_columns(given)
    if not len(matrix):
        raise ProblemError(422, "the inputs have no records: send at least one", field="inputs")
    outcome = await service.answers(served, matrix)
    service.account(served, outcome)
    if served.model in service.serving.shadowed:
        few = {name: column[:SLICE_RECORDS] for name, column in given.items()}
        first = outcome.part(0, SLICE_RECORDS)
        shadow(service, served, matrix[:SLICE_RECORDS], first, lambda candidate: candidate.encoder.encode_columns(few))
    return _answer(served, request, outcome)


def _index_filter(body: bytes) -> bool:
    """Whether the index is to have what is ready alone; the body may be left out."""
    if not body.strip():
        return False
    try:
        return _index_request.decode(body).ready
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        schemas.refuse(error, expected="an object in which 'ready' may be true or false, or no body")


def _split(call: Call, body: bytes) -> tuple[InferenceRequest, bytes]:
    """The JSON of a request and the raw bytes behind it."""
    length = call.request.headers.get(_HEADER_LENGTH)
    if length is None:
        kind = media_type(call.request)
        # Clients of the protocol send JSON without saying so.
        if kind not in {"", OCTETS}:
            must_be_json(kind)
        size = len(body)
    elif length.isascii() and length.isdecimal() and len(length) <= 10 and int(length) <= len(body):  # noqa: PLR2004 - digits of a length that fits a body
        size = int(length)
    else:
        raise ProblemError(400, f"{_HEADER_LENGTH} is {length[:20]!r}, the body has {len(body)} bytes")
    try:
        return _request.decode(body[:size]), body[size:]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        schemas.refuse(error, expected="an object with 'inputs', a list of tensors")


async def _picked(service: Service, call: Call) -> Served:
    name, version = call.params["model"], call.params.get("version")
    return await service.pick(f"{name}@{version}" if version else name)


def _answer(served: Served, request: InferenceRequest, outcome: Outcome) -> Answer:
    """The outputs that are asked for, all where none is named, each in JSON or as raw bytes."""
    available: dict[str, tuple[str, list[int], list[Any]]] = {
        "predictions": ("BYTES" if served.manifest.classes else "FP64", [len(outcome.labels)], outcome.labels)
    }
    if outcome.probabilities is not None:
        shape = [len(outcome.labels), len(served.manifest.classes)]
        available["probabilities"] = ("FP64", shape, [value for row in outcome.probabilities for value in row])
    outputs, blobs = [], []
    for wanted in request.outputs or [WantedOutput(name) for name in available]:
        if wanted.name not in available:
            raise ProblemError(422, f"there is no output {wanted.name!r}", field=wanted.name, known=list(available))
        datatype, shape, values = available[wanted.name]
        output: dict[str, Any] = {"name": wanted.name, "datatype": datatype, "shape": shape}
        if wanted.parameters.get("binary_data", request.parameters.get("binary_data_output", False)) is True:
            blob = encoded(values, text=datatype == "BYTES")
            blobs.append(blob)
            output["parameters"] = {"binary_data_size": len(blob)}
        else:
            output["data"] = values
        outputs.append(output)
    document: dict[str, Any] = {"model_name": served.model, "model_version": str(served.version), "outputs": outputs}
    if request.id is not None:
        document["id"] = request.id
    head = msgspec.json.encode(document)
    if not blobs:
        return Answer(head)
    return Answer(head + b"".join(blobs), content_type=OCTETS, headers=((_HEADER_LENGTH, str(len(head))),))
