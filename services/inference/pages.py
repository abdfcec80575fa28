"""/docs, /redoc and the document both show. Every file comes from this host; the scripts lie here compressed."""

import gzip
from functools import lru_cache
from importlib.resources import files

import msgspec

from services.inference import openapi
from services.inference.service import Service
from services.inference.web.answers import Answer
from services.inference.web.calls import Call
from services.inference.web.problems import ProblemError

HTML = "text/html; charset=utf-8"
# The scripts make styles and, for Redoc, a worker of their own; nothing of another host is ever loaded.
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'"
)
_HEADERS = (("Content-Security-Policy", _POLICY), ("X-Content-Type-Options", "nosniff"))
_FILES = {
    "docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "redoc.js": ("redoc.js", "text/javascript; charset=utf-8"),
    "swagger-ui-bundle.js": ("vendor/swagger-ui/swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"),
    "swagger-ui.css": ("vendor/swagger-ui/swagger-ui.css.gz", "text/css; charset=utf-8"),
    "favicon-32x32.png": ("vendor/swagger-ui/favicon-32x32.png", "image/png"),
    "redoc.standalone.js": ("vendor/redoc/redoc.standalone.js.gz", "text/javascript; charset=utf-8"),
}


async def docs(service: Service, call: Call) -> Answer:
    """Swagger UI."""
    del service, call
    return Answer(_file("docs.html"), content_type=HTML, headers=_HEADERS)


async def redoc(service: Service, call: Call) -> Answer:
    """Redoc."""
    del service, call
    return Answer(_file("redoc.html"), content_type=HTML, headers=_HEADERS)


async def document(service: Service, call: Call) -> Answer:
    """The OpenAPI 3.1 document, with examples of the models that are live now."""
    del call
    return Answer(msgspec.json.encode(openapi.document(service.serving)))


async def static(service: Service, call: Call) -> Answer:
    """A file of the pages, compressed as it lies here where the client takes that."""
    del service
    name = call.params["name"]
    if name not in _FILES:
        raise ProblemError(404, f"there is no file {name[:100]!r}")
    path, kind = _FILES[name]
    content = _file(path)
    headers: tuple[tuple[str, str], ...] = (("Cache-Control", "max-age=86400"), ("Vary", "Accept-Encoding"))
    if path.endswith(".gz"):
        if "gzip" in call.request.headers.get("Accept-Encoding", ""):
            headers = (*headers, ("Content-Encoding", "gzip"))
        else:
            content = gzip.decompress(content)
    return Answer(content, content_type=kind, headers=headers)


@lru_cache(maxsize=16)
def _file(path: str) -> bytes:
    return (files("services.inference") / "static" / path).read_bytes()
