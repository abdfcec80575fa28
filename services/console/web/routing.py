"""From one table of routes to handlers that get checked values, and to the OpenAPI document."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from services.console.parts import PARTS, Parts
from services.console.web.guards import check_origin, check_token
from services.console.web.problems import FieldError, ProblemError

MAX_BODY_BYTES = 64 * 1024
_BODY_TIMEOUT_S = 10.0


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters, no fields."""


class Call(msgspec.Struct, frozen=True):
    """A request as a handler sees it: the parts, the path's parameters, the checked query and body."""

    parts: Parts
    request: web.Request
    path: Mapping[str, str]
    query: Any
    body: Any

    def id(self) -> UUID:
        """The id in the path. Raises ProblemError 404 where it is none."""
        return parse_id(self.path["id"])

    def number(self, name: str) -> int:
        """A whole number in the path. Raises ProblemError 404 where it is none."""
        text = self.path[name]
        if not (text.isascii() and text.isdigit() and len(text) <= 9):  # noqa: PLR2004 - digits of an integer column
            raise ProblemError(404, f"{text[:50]!r} is no {name}; it is a whole number")
        return int(text)

    @property
    def actor(self) -> str:
        """Who asks, for the history: what the request says of itself, or the console."""
        said = self.request.headers.get("X-Rookery-Actor", "").strip()
        return said[:100] if said.isprintable() and said else "console"


Handler = Callable[[Call], Awaitable[Any]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One address: its handler, and what the OpenAPI document says of it.

    `changes`: whether a POST changes something; one that only asks needs no token.
    """

    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    answer: Any
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    status: int = 200
    changes: bool = True
    most_bytes: int = MAX_BODY_BYTES

    @property
    def changing(self) -> bool:
        """Whether it changes something, so that the token is needed."""
        return self.method != "GET" and self.changes


def parse_id(text: str) -> UUID:
    """The UUID that a text is. Raises ProblemError 404."""
    try:
        return UUID(text)
    except ValueError:
        raise ProblemError(404, f"{text[:50]!r} is no id; it is a UUID") from None


def add_routes(app: web.Application, routes: list[Route]) -> None:
    """Adds the routes of a table to an app."""
    for route in routes:
        app.router.add_route(route.method, route.path, _bound(route))


def json_response(value: Any, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _bound(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        parts = request.app[PARTS]
        if route.method != "GET":
            check_origin(request)
        if route.changing:
            check_token(request, parts.settings.console_token)
        query = _convert(dict(request.query), route.query, strict=False)
        body = await _read(request, route.body, route.most_bytes) if route.body is not None else None
        call = Call(parts, request, dict(request.match_info), query, body)
        answer = await route.handler(call)
        return answer if isinstance(answer, web.StreamResponse) else json_response(answer, route.status)

    return handle


async def _read(request: web.Request, kind: type[msgspec.Struct], most_bytes: int) -> Any:
    """The checked body; an empty one is an empty object."""
    if request.content_length is not None and request.content_length > most_bytes:
        raise ProblemError(413, f"the body is larger than {most_bytes} bytes")
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            content = await request.read()
    except TimeoutError:
        raise ProblemError(408, f"the body was not complete after {_BODY_TIMEOUT_S:.0f} s") from None
    if content and request.content_type != "application/json":
        raise ProblemError(415, f"the body is {request.content_type}; send application/json")
    try:
        value = msgspec.json.decode(content or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, f"the body is no JSON: {error}") from error
    return _convert(value, kind, strict=True)


def _convert(value: Any, kind: Any, *, strict: bool) -> Any:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        missing = message.partition("missing required field `")[2].rstrip("`")
        field = ".".join(part for part in (place.rstrip("`").lstrip("."), missing) if part) or "body"
        raise ProblemError(422, message, errors=[FieldError(field, message)]) from error
