"""The OpenAPI document, made from the table of routes."""

import re
from typing import Any

import msgspec

from services.console.web.problems import CONTENT_TYPE, Problem
from services.console.web.routing import Nothing, Route

_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")


def document(routes: list[Route], *, version: str = "0.1.0") -> dict[str, Any]:
    """OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0)."""
    answers = [route.answer for route in routes]
    bodies = [route.body for route in routes if route.body is not None]
    queries = [route.query for route in routes]
    kinds = [*answers, *bodies, *queries, Problem]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_kind = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, by_kind, components)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rookery console",
            "version": version,
            "description": (
                "Runs, events, models and data of one installation. What changes something needs the token of"
                " CONSOLE_TOKEN as Authorization: Bearer, where one is set, and from a browser always a page of this"
                " server. X-Rookery-Actor says who asks, for the history. Refusals are problem documents (RFC 9457)."
            ),
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, by_kind: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "description": (route.handler.__doc__ or "").strip(),
        "tags": [route.tag],
        "parameters": parameters + _query(route, components),
        "responses": {
            str(route.status): {"description": "Done", "content": _content(route, by_kind)},
            "default": {
                "description": "Refused, and why",
                "content": {CONTENT_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
            },
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": by_kind[id(route.body)]}}}
    if route.changing:
        operation["security"] = [{"token": []}, {}]
    return operation


def _query(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    if route.query is Nothing:
        return []
    schema = components[route.query.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def _content(route: Route, by_kind: dict[int, Any]) -> dict[str, Any]:
    if route.answer is str:
        return {"text/event-stream": {"schema": {"type": "string"}}}
    if route.answer is bytes:
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": by_kind[id(route.answer)]}}
