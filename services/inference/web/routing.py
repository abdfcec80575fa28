"""From a method and a path to a handler: a table, looked up by exact path first."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote

from services.inference.web.answers import Answer
from services.inference.web.calls import Call
from services.inference.web.problems import ProblemError

S = TypeVar("S")
# Characters that mean the same escaped or not (RFC 3986, 2.3).
_ESCAPED = re.compile(r"%(?:2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe])")


@dataclass(frozen=True)
class Route(Generic[S]):
    """One row of the table. `template` may have segments in braces; `is_open`: asks for no API key."""

    method: str
    template: str
    handler: Callable[[S, Call], Awaitable[Answer]]
    is_open: bool = False


@dataclass(frozen=True)
class Router(Generic[S]):
    """Finds the route of a request."""

    routes: Sequence[Route[S]]
    _exact: dict[str, dict[str, Route[S]]] = field(default_factory=dict)
    _patterns: list[tuple[re.Pattern[str], dict[str, Route[S]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Lays the table out for looking up."""
        patterns: dict[str, dict[str, Route[S]]] = {}
        for route in self.routes:
            table = self._exact if "{" not in route.template else patterns
            table.setdefault(route.template, {})[route.method] = route
        for template, methods in patterns.items():
            expression = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
            self._patterns.append((re.compile(expression), methods))
        for methods in (*self._exact.values(), *patterns.values()):
            if "GET" in methods:
                methods.setdefault("HEAD", methods["GET"])

    def find(self, method: str, path: str) -> tuple[Route[S], Mapping[str, str]]:
        """The route and the values of its segments in braces. Raises ProblemError 404 or 405."""
        methods = self._exact.get(path)
        if methods is not None:
            route = methods.get(method)
            if route is not None:
                return route, {}
            raise _not_allowed(method, methods)
        for pattern, methods_of_pattern in self._patterns:
            match = pattern.fullmatch(path)
            if match:
                route = methods_of_pattern.get(method)
                if route is None:
                    raise _not_allowed(method, methods_of_pattern)
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        other = _in_plain(path)
        if other != path:
            return self.find(method, other)
        raise ProblemError(404, f"there is no {path!r} here; GET /docs lists what there is")

    def allowed(self, path: str) -> str:
        """The methods of a path, as `Allow` lists them. Raises ProblemError 404."""
        if path == "*":
            # Not a path: what the server can do at all (RFC 9110, 9.3.7).
            return "GET, HEAD, OPTIONS, POST"
        methods = self._exact.get(path)
        if methods is None:
            methods = next((table for pattern, table in self._patterns if pattern.fullmatch(path)), None)
        if methods is None and (other := _in_plain(path)) != path:
            return self.allowed(other)
        if methods is None:
            raise ProblemError(404, f"there is no {path!r} here; GET /docs lists what there is")
        return ", ".join(sorted({*methods, "OPTIONS"}))


def _in_plain(path: str) -> str:
    """Another spelling of the same path: without scheme and host, with letters as such, without a slash at its end."""
    if path.startswith(("http://", "https://")):
        # What proxies send, and every server must take (RFC 9112, 3.2.2).
        return "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"  # noqa: PLR2004 - those of scheme and path
    if path != "/" and path.endswith("/"):
        return path.rstrip("/") or "/"
    return _ESCAPED.sub(lambda found: unquote(found[0]), path)


def _not_allowed(method: str, methods: Mapping[str, Route[S]]) -> ProblemError:
    allowed = ", ".join(sorted({*methods, "OPTIONS"}))
    return ProblemError(405, f"{method} is not possible here; possible are {allowed}", headers=(("Allow", allowed),))
