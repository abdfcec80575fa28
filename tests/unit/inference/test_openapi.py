"""The OpenAPI document is complete."""

from typing import Any

from services.inference.openapi import document
from services.inference.routes import ROUTES
from services.inference.serving.serving_map import ServingMap

PAGES = {"/docs", "/redoc", "/openapi.json", "/static/{name}"}


def test_every_route_is_described() -> None:
    """The document has exactly the routes of the table, apart from the pages that show it."""
    paths = document(ServingMap())["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == {(route.method, route.template) for route in ROUTES if route.template not in PAGES}


def test_every_reference_leads_somewhere() -> None:
    """No reference of the document is broken."""
    whole = document(ServingMap())

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if "$ref" in value else set()
            return own.union(*(references(item) for item in value.values()))
        return set().union(*(references(item) for item in value)) if isinstance(value, list) else set()

    known = {f"#/components/schemas/{name}" for name in whole["components"]["schemas"]}
    assert references(whole["paths"]) <= known
