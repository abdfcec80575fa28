"""The pages: one document for all addresses, and the files it loads; nothing comes from another host."""

import base64
import hashlib
import re
from pathlib import Path

from aiohttp import web

from services.console.web.guards import content_policy

STATIC = Path(__file__).parent / "static"
# The addresses of pages: each answers with the same document, whose script then shows what the address names.
ADDRESSES = (
    "/",
    "/runs",
    "/runs/{id}",
    "/events",
    "/events/{id}",
    "/models",
    "/models/{model}",
    "/models/{model}/versions/{version}",
    "/models/{model}/compare/{pair}",
    "/data",
    "/data/{dataset}",
    "/data/{dataset}/snapshots/{snapshot}",
    "/try",
    "/api",
)
_INLINE = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.+?)</script>", re.DOTALL)
_KINDS = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".html": "text/html",
    ".json": "application/json",
}
# A file's address never changes with its content, so it is asked for each time, and answered 304 where it is known.
_REVALIDATE = "no-cache"


class Pages:
    """The document and the static files, read once: a few hundred kilobytes."""

    def __init__(self, folder: Path = STATIC) -> None:
        """Reads the folder."""
        self._files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in _KINDS
        }
        self._tags = {name: hashlib.sha256(content).hexdigest()[:16] for name, content in self._files.items()}
        self._document = self._files["index.html"]
        hashes = [
            base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE.findall(self._document)
        ]
        self._policy = content_policy(tuple(hashes))

    async def page(self, request: web.Request) -> web.Response:
        """The document."""
        del request
        return web.Response(
            body=self._document,
            content_type="text/html",
            charset="utf-8",
            headers={"Content-Security-Policy": self._policy, "Cache-Control": _REVALIDATE},
        )

    async def static(self, request: web.Request) -> web.Response:
        """A file."""
        name = request.match_info["name"]
        content = self._files.get(name)
        if content is None:
            raise web.HTTPNotFound
        headers = {"ETag": f'"{self._tags[name]}"', "Cache-Control": _REVALIDATE}
        if self._tags[name] in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        response = web.Response(body=content, content_type=_KINDS[Path(name).suffix], headers=headers)
        response.enable_compression()
        return response
