"""One request as a handler sees it: what aiohttp read, and what the path and the query say."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from aiohttp import web

from services.inference.web.problems import ProblemError

_NO_PARAMETERS: Mapping[str, str] = {}
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_MAX_QUERY_FIELDS = 100


class Call:
    """A request, the parameters of its path, and its query."""

    __slots__ = ("_query", "_query_string", "params", "request")

    def __init__(self, request: web.BaseRequest, query_string: str) -> None:
        """Takes the request and what follows the question mark."""
        self.request = request
        self.params = _NO_PARAMETERS
        self._query_string = query_string
        self._query: dict[str, list[str]] | None = None

    def asked(self, name: str) -> str | None:
        """A parameter of the query that may be given once. Raises ProblemError where it is given more often."""
        if not self._query_string:
            return None
        values = self.asked_all(name)
        if len(values) > 1:
            raise ProblemError(400, f"the query has {name!r} {len(values)} times", field=name)
        return values[0] if values else None

    def asked_all(self, name: str) -> list[str]:
        """All values of a parameter of the query."""
        if self._query is None:
            try:
                self._query = parse_qs(self._query_string, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
            except ValueError as error:
                raise ProblemError(400, f"the query has more than {_MAX_QUERY_FIELDS} fields") from error
        return self._query.get(name, [])


def asked_model(call: Call, in_body: str | None) -> str | None:
    """The model's name from query or body. Raises ProblemError where they contradict each other."""
    in_query = call.asked("model")
    if in_query and in_body and in_query != in_body:
        raise ProblemError(422, f"the query asks for {in_query!r}, the body for {in_body!r}", field="model")
    return in_query or in_body or None


def request_id_of(request: web.BaseRequest) -> str | None:
    """The id the client gave, where it is one that can be repeated in a header and a log."""
    value = request.headers.get("X-Request-ID")
    return value if value is not None and _REQUEST_ID.fullmatch(value) else None


def traceparent_of(request: web.BaseRequest) -> str | None:
    """The W3C trace context the client gave (https://www.w3.org/TR/trace-context/#traceparent-header), if valid."""
    value = request.headers.get("traceparent")
    return value if value is not None and _TRACEPARENT.fullmatch(value) else None
