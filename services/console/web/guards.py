"""Who may change something, and what a page may load."""

import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from services.console.web.problems import ProblemError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Everything from this server alone. The hashes are those of the one inline script (the import map) and of nothing else;
# styles may be set from scripts, through the object model, which needs no exception.
_POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; manifest-src 'self'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def content_policy(script_hashes: tuple[str, ...] = ()) -> str:
    """The Content-Security-Policy of a page whose inline scripts have these hashes (sha256, base64)."""
    return _POLICY.format(scripts="".join(f" 'sha256-{digest}'" for digest in script_hashes))


@web.middleware
async def headers_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Sets the headers that every answer has."""
    response = await handler(request)
    if not response.prepared:
        set_headers(response)
    return response


def set_headers(response: web.StreamResponse) -> None:
    """Sets the headers that every answer has on one that is not sent yet."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", content_policy())
    response.headers.setdefault("Cache-Control", "no-store")


def check_origin(request: web.Request) -> None:
    """Refuses what a page of another origin sent. Raises ProblemError 403.

    A browser says where a request comes from: Sec-Fetch-Site, and Origin where it is older. A command line says
    neither, and no page can make a browser leave both out.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in {"same-origin", "none"}:
        raise ProblemError(403, "only pages of this console may change something; this request came from another site")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise ProblemError(403, f"only pages of this console may change something; this one is {origin[:200]}")


def check_token(request: web.Request, token: str) -> None:
    """Raises ProblemError 401 where a token is set and the request carries another or none."""
    if not token:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    known = scheme.lower() == "bearer" and hmac.compare_digest(
        given.strip().encode("utf-8", "surrogateescape"), token.encode()
    )
    if not known:
        detail = (
            "the token is not the one of CONSOLE_TOKEN"
            if given
            else "a token is needed to change something: send it as Authorization: Bearer"
        )
        raise ProblemError(401, detail, headers={"WWW-Authenticate": 'Bearer realm="rookery"'})
