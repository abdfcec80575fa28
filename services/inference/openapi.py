"""The OpenAPI 3.1 document, built from the models that are live: their fields, categories and a record that works."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from common.features import Feature
from services.inference.serving.serving_map import Served, ServingMap

Schema = dict[str, Any]

_PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457. `record` and `field` say where the problem is, `known` what would be understood.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "record": {"type": "integer", "description": "Index of the record, from 0."},
        "field": {"type": "string"},
        "known": {"type": "array", "items": {"type": "string"}},
    },
}
_ANSWER: Schema = {
    "type": "object",
    "required": ["model", "version", "predictions"],
    "properties": {
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "predictions": {"type": "array", "items": {"type": ["string", "number"]}},
        "probabilities": {
            "type": "array",
            "description": "Per record, one number per class in the order of `classes`. Not there for regression.",
            "items": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}},
        },
        "classes": {"type": "array", "items": {"type": "string"}},
    },
}
_COMPARISON: Schema = {
    "type": "object",
    "required": ["results", "agreement", "agree"],
    "properties": {
        "results": {"type": "array", "items": {"$ref": "#/components/schemas/Answer"}},
        "agreement": {"type": "number", "description": "Share of the records on which all agree."},
        "agree": {"type": "array", "items": {"type": "boolean"}},
    },
}
_MODELS: Schema = {
    "type": "object",
    "required": ["models", "default"],
    "properties": {
        "default": {"type": ["string", "null"]},
        "models": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "version", "state"],
                "properties": {
                    "name": {"type": "string"},
                    "version": {"type": ["integer", "null"]},
                    "state": {"enum": ["ready", "loading", "error"]},
                    "metrics": {"type": "object", "additionalProperties": {"type": "number"}},
                    "classes": {"type": "array", "items": {"type": "string"}},
                    "features": {"type": "array", "items": {"type": "object"}},
                    "predictor": {"type": "object"},
                },
            },
        },
    },
}
_TENSOR: Schema = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"enum": ["FP64", "FP32", "INT64", "INT32", "INT16", "INT8", "UINT8", "UINT16", "UINT32", "BYTES"]},
        "parameters": {"type": "object"},
        "data": {"type": "array"},
    },
}
_INFERENCE: Schema = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
        "outputs": {"type": "array", "items": {"type": "object"}},
        "parameters": {"type": "object"},
    },
}
_INFERRED: Schema = {
    "type": "object",
    "required": ["model_name", "model_version", "outputs"],
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "outputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
    },
}


def document(serving: ServingMap) -> Schema:
    """The whole document."""
    live = [view.live for _, view in sorted(serving.models.items()) if view.live is not None]
    live.sort(key=lambda served: served.model != serving.default)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rookery: prediction API",
            "version": "1",
            "description": "Answers with the models that training published last; every answer names both.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": _paths(live),
        "components": {
            "schemas": {
                "Problem": _PROBLEM,
                "Answer": _ANSWER,
                "Comparison": _COMPARISON,
                "Models": _MODELS,
                "Tensor": _TENSOR,
                "InferenceRequest": _INFERENCE,
                "InferenceResponse": _INFERRED,
                "Request": _request(live, {"model": _MODEL_IN_BODY}),
                "CompareRequest": _request(live, {"models": _MODELS_IN_BODY}),
                **{record_name(served.model): record(served.manifest.features) for served in live},
            },
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
        # Keys are asked for only where INFERENCE_API_KEYS is set.
        "security": [{}, {"key": []}, {"bearer": []}],
    }


def record(features: Sequence[Feature]) -> Schema:
    """The schema of a record of a model."""
    properties: Schema = {}
    for feature in features:
        nullable = feature.fill is not None
        if feature.kind == "numeric":
            entry: Schema = {"type": ["number", "null"] if nullable else "number"}
            if feature.minimum is not None and feature.maximum is not None:
                entry["description"] = f"Seen in training: {feature.minimum:g} to {feature.maximum:g}."
        else:
            entry = {"type": ["string", "null"] if nullable else "string", "examples": list(feature.levels)}
            entry["description"] = (
                f"One of {', '.join(feature.levels)}; case does not matter where that is unambiguous."
            )
        properties[feature.name] = entry
    return {"type": "object", "required": [feature.name for feature in features], "properties": properties}


def record_name(model: str) -> str:
    """The name of the schema of a model's records."""
    return f"Record.{model}"


def example(served: Served) -> Schema:
    """A request that works."""
    return {"records": msgspec.to_builtins(served.manifest.samples.records[:1])}


def _request(live: Sequence[Served], more: Schema) -> Schema:
    references = [{"$ref": f"#/components/schemas/{record_name(served.model)}"} for served in live]
    return {
        "type": "object",
        "required": ["records"],
        "properties": {
            "records": {
                "type": "array",
                "minItems": 1,
                "items": {"anyOf": references} if references else {"type": "object"},
            },
            **more,
        },
    }


def _paths(live: Sequence[Served]) -> Schema:
    names = [served.model for served in live]
    model: Schema = {"type": "string", "description": "`name`, `name@3`, `name@previous` or `name@candidate`."}
    if names:
        model["examples"] = names
    examples = {served.model: {"value": example(served)} for served in live}
    query = [{"name": "model", "in": "query", "schema": model}]
    many = [{"name": "models", "in": "query", "schema": {"type": "array", "items": model}}]
    request = _body(examples)
    return {
        "/predict": {
            "post": _operation(
                "predict",
                "Answers records; all of them or none.",
                "Answer",
                query,
                {
                    **request,
                    "content": {
                        **request["content"],
                        "text/csv": {"schema": {"type": "string"}},
                        "application/x-ndjson": {"schema": {"type": "string"}},
                    },
                },
                _REFUSALS,
            )
        },
        "/predict/compare": {
            "post": _operation(
                "compare",
                "Several models on the same records.",
                "Comparison",
                many,
                _body(examples, "CompareRequest"),
                _REFUSALS,
            )
        },
        "/models": {"get": _operation("models", "All models and the version of each that answers.", "Models")},
        "/models/{name}": {"get": _operation("model", "One model.", None, _in_path("name"), None, (404,))},
        "/models/{name}/versions/{version}": {
            "get": _operation("version", "A version's lineage.", None, _in_path("name", "version"), None, (404,))
        },
        "/health": {"get": _operation("health", "The process answers.")},
        "/ready": {"get": _operation("ready", "A model is live.", None, (), None, (503,))},
        "/metrics": {"get": _operation("metrics", "Counts for Prometheus.", kind="text/plain")},
        **_v2_paths(live),
    }


def _v2_paths(live: Sequence[Served]) -> Schema:
    """The Open Inference Protocol, version 2."""
    paths: Schema = {
        "/v2": {"get": _operation("server", "The server and its extensions.", tag="v2")},
        "/v2/health/live": {"get": _operation("live", "The process answers.", tag="v2")},
        "/v2/health/ready": {"get": _operation("v2Ready", "A model is live.", None, (), None, (503,), tag="v2")},
        "/v2/repository/index": {"post": _operation("index", "All models and versions.", tag="v2")},
    }
    examples = {served.model: {"value": tensors(served)} for served in live}
    for suffix, names in (("", ("model",)), ("/versions/{version}", ("model", "version"))):
        at = "/v2/models/{model}" + suffix
        title = "Version" if suffix else "Model"
        where = _in_path(*names)
        paths[at] = {"get": _operation(f"metadata{title}", "Inputs and outputs.", None, where, None, (404,), tag="v2")}
        paths[f"{at}/ready"] = {
            "get": _operation(f"ready{title}", "It answers.", None, where, None, (404, 503), tag="v2")
        }
        paths[f"{at}/infer"] = {
            "post": _operation(
                f"infer{title}",
                "Answers columns.",
                "InferenceResponse",
                where,
                _body(examples, "InferenceRequest"),
                _REFUSALS,
                tag="v2",
            )
        }
    return paths


def tensors(served: Served) -> Schema:
    """A request of the Open Inference Protocol that works."""
    first = served.manifest.samples.records[0]
    inputs = [
        {
            "name": feature.name,
            "shape": [1],
            "datatype": "FP64" if feature.kind == "numeric" else "BYTES",
            "data": [first[feature.name]],
        }
        for feature in served.manifest.features
    ]
    return {"inputs": inputs}


_MODEL_IN_BODY: Schema = {"type": ["string", "null"], "description": "As the query's `model`."}
_MODELS_IN_BODY: Schema = {"type": "array", "items": {"type": "string"}, "description": "As the query's `models`."}
_REFUSALS = (400, 404, 408, 413, 415, 422, 503)
_WORDS = {
    400: "No JSON, or badly framed.",
    401: "An API key is needed.",
    404: "No such model or version.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body's type or encoding is not understood.",
    422: "A record cannot be answered; the problem names it and its field.",
    503: "Not now; see Retry-After.",
}


def _operation(  # noqa: PLR0917 - the columns of the tables above
    name: str,
    summary: str,
    schema: str | None = None,
    parameters: Sequence[Mapping[str, Any]] = (),
    body: Schema | None = None,
    refusals: Sequence[int] = (),
    *,
    tag: str = "rookery",
    kind: str = "application/json",
) -> Schema:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"} if schema else {}}
    operation: Schema = {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        "responses": {
            "200": {"description": "The answer.", "content": {kind: content}},
            **{str(status): _refusal(status) for status in (*refusals, 401)},
        },
    }
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = body
    return operation


def _refusal(status: int) -> Schema:
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": _WORDS[status], "content": {"application/problem+json": schema}}


def _body(examples: Schema, schema: str = "Request") -> Schema:
    content: Schema = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    if examples:
        content["examples"] = examples
    return {"required": True, "content": {"application/json": content}}


def _in_path(*names: str) -> list[Schema]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
