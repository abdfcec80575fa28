"""The web application: routes, middlewares, pages."""

import msgspec
from aiohttp import web

from services.console.api.system import health
from services.console.openapi import document
from services.console.pages import ADDRESSES, Pages
from services.console.parts import PARTS, Parts
from services.console.routes import ROUTES
from services.console.web.guards import headers_middleware
from services.console.web.problems import problems_middleware
from services.console.web.routing import Route, add_routes

_MOST_BYTES = 8 * 2**20


def make_web_app(parts: Parts) -> web.Application:
    """The application on opened parts."""
    app = web.Application(middlewares=[headers_middleware, problems_middleware], client_max_size=_MOST_BYTES)
    app[PARTS] = parts
    add_routes(
        app,
        [
            *ROUTES,
            Route(method="GET", path="/health", handler=health, tag="system", summary="Alive", answer=dict[str, str]),
        ],
    )
    openapi = msgspec.json.encode(document(ROUTES))

    async def show_document(request: web.Request) -> web.Response:
        del request
        return web.Response(body=openapi, content_type="application/json")

    pages = Pages()
    app.router.add_get("/api/openapi.json", show_document)
    app.router.add_get("/static/{name:.+}", pages.static)
    for address in ADDRESSES:
        app.router.add_get(address, pages.page)
    return app
