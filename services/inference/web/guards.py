"""Who may call: API keys, and pages of other origins (CORS)."""

import hashlib
import hmac
from collections.abc import Sequence

from aiohttp import web

from services.inference.web.answers import Answer
from services.inference.web.problems import ProblemError

_PREFLIGHT_S = 600


class ApiKeys:
    """The keys that open the API; none means it is open."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Takes the keys; only their digests are kept."""
        self._digests = tuple(hashlib.sha256(key.encode()).digest() for key in keys)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def check(self, request: web.BaseRequest) -> None:
        """Raises ProblemError 401 where the request carries none of the keys."""
        given = request.headers.get("X-API-Key")
        if given is None:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            given = token.strip() if scheme.lower() == "bearer" else None
        if given is None:
            raise ProblemError(
                401,
                "an API key is needed: send it as X-API-Key or as Authorization: Bearer",
                headers=(("WWW-Authenticate", 'Bearer realm="rookery"'),),
            )
        digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        # All keys are compared, so the time taken tells nothing.
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise ProblemError(
                401, "the API key is not known", headers=(("WWW-Authenticate", 'Bearer realm="rookery"'),)
            )


class Origins:
    """The origins whose pages may call; none means that no CORS header is ever sent."""

    def __init__(self, origins: Sequence[str]) -> None:
        """Takes origins such as https://example.org; `*` allows all."""
        self._origins = frozenset(origins)

    def __bool__(self) -> bool:
        return bool(self._origins)

    def headers(self, request: web.BaseRequest) -> tuple[tuple[str, str], ...]:
        """The CORS headers of an answer."""
        origin = request.headers.get("Origin")
        if origin is None or not ("*" in self._origins or origin in self._origins):
            return ()
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", "X-Request-ID, Retry-After, Inference-Header-Content-Length"),
            ("Vary", "Origin"),
        )

    def preflight(self, allowed: str) -> Answer:
        """The answer to OPTIONS; the CORS headers proper are added as to every answer."""
        return Answer(
            b"",
            status=204,
            headers=(
                ("Allow", allowed),
                ("Access-Control-Allow-Methods", allowed),
                ("Access-Control-Allow-Headers", "Authorization, Content-Type, X-API-Key, X-Request-ID, traceparent"),
                ("Access-Control-Max-Age", str(_PREFLIGHT_S)),
            )
            if self._origins
            else (("Allow", allowed),),
        )
