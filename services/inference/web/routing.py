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
        if path != "/" and path.endswith("/"):
            return self.find(method, path.rstrip("/") or "/")
        raise ProblemError(404, f"there is no {path!r} here; GET /docs lists what there is")

    def allowed(self, path: str) -> str:
        """The methods of a path, as `Allow` lists them. Raises ProblemError 404."""
        methods = self._exact.get(path)
        if methods is None:
            methods = next((table for pattern, table in self._patterns if pattern.fullmatch(path)), None)
        if methods is None:
            raise ProblemError(404, f"there is no {path!r} here; GET /docs lists what there is")
        return ", ".join(sorted({*methods, "OPTIONS"}))


def _not_allowed(method: str, methods: Mapping[str, Route[S]]) -> ProblemError:
    allowed = ", ".join(sorted({*methods, "OPTIONS"}))
    return ProblemError(405, f"{method} is not possible here; possible are {allowed}", headers=(("Allow", allowed),))
