"""From a request to an answer: the route, the guards, what is counted and logged. aiohttp's router takes no part."""

import os
from collections.abc import Awaitable, Callable
from itertools import count
from time import perf_counter, time
from typing import Any, cast

from aiohttp import web

from common.errors import RecordError
from common.logs import get_logger
from services.inference.routes import ROUTES
from services.inference.service import Service
from services.inference.web.access_log import AccessLog
from services.inference.web.answers import Answer
from services.inference.web.calls import Call, request_id_of, traceparent_of
from services.inference.web.guards import ApiKeys, Origins
from services.inference.web.problems import ProblemError, of_record, problem
from services.inference.web.routing import Router

_NO_ROUTE = "none"


class Application:
    """Answers requests with the handlers of ROUTES."""

    def __init__(self, service: Service, *, keys: ApiKeys, origins: Origins, log: AccessLog) -> None:
        """Takes what handlers work with, who may call, and where requests are logged."""
        self._service = service
        self._router = Router(ROUTES)
        self._keys = keys
        self._origins = origins
        self._log = log
        self._ids = count()
        self._id_prefix = os.urandom(6).hex()

    async def handle(self, request: web.BaseRequest) -> Answer:
        """Answers one request; never raises but when cancelled."""
        started = perf_counter()
        path, _, query = request.raw_path.partition("?")
        template = _NO_ROUTE
        figures = self._service.metrics.figures
        figures.under_way += 1
        try:
            if request.method == "OPTIONS":
                answer = self._origins.preflight(self._router.allowed(path))
            else:
                route, params = self._router.find(request.method, path)
                template = route.template
                if self._keys and not route.is_open:
                    self._keys.check(request)
                call = Call(request, query)
                call.params = params
                answer = await route.handler(self._service, call)
        except ProblemError as error:
            if error.status == 503:  # noqa: PLR2004 - what a refusal to take more work answers
                figures.shed += 1
            answer = error.answer()
        except RecordError as error:
            answer = of_record(error)
        except Exception:  # noqa: BLE001 - the last line of defence: the client gets a problem document, we the trace
            get_logger(__name__).exception("a request failed", path=path[:200])
            answer = problem(500, "the server failed on this request; the log says why")
        finally:
            figures.under_way -= 1
        self._finish(request, answer, template, path, started)
        return answer

    def _finish(self, request: web.BaseRequest, answer: Answer, template: str, path: str, started: float) -> None:
        """Adds the headers that all answers have, counts and logs."""
        headers = request.headers
        request_id = request_id_of(request) if "X-Request-ID" in headers else None
        if request_id is None:
            request_id = f"{self._id_prefix}-{next(self._ids):x}"
        added: tuple[tuple[str, str], ...] = (("X-Request-ID", request_id),)
        traceparent = traceparent_of(request) if "traceparent" in headers else None
        if traceparent:
            added = (*added, ("traceparent", traceparent))
        if self._origins:
            added = (*added, *self._origins.headers(request))
        answer.headers = (*answer.headers, *added) if answer.headers else added
        seconds = perf_counter() - started
        self._service.metrics.request(template, answer.status, seconds)
        self._log.add((time(), request.method, path, answer.status, seconds, request_id, traceparent or ""))


class Protocol(web.RequestHandler):
    """aiohttp's connection; what is no HTTP at all is refused in the form of every other refusal."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Refuses what aiohttp could not read as a request."""
        del request
        detail = (message or "the request could not be read as HTTP").strip().partition("\n")[0]
        if status >= 500:  # noqa: PLR2004 - not what a client sent
            get_logger(__name__).error("the connection failed", error=repr(exc))
            detail = "the server failed on this request"
        return as_response(problem(status, detail, close=True))


class Server(web.Server):
    """aiohttp's low-level server with our connections."""

    def __init__(self, application: Application, **options: Any) -> None:
        """Takes the application and options of `web.RequestHandler`."""
        handle = cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", application.handle)
        super().__init__(handle, **options)

    def __call__(self) -> web.RequestHandler:
        """Makes the protocol of a new connection."""
        return Protocol(self, loop=self._loop, **self._kwargs)


def as_response(answer: Answer) -> web.StreamResponse:
    """An answer as what aiohttp's types ask for; it uses `prepare`, `write_eof` and `keep_alive` alone."""
    return cast("web.StreamResponse", answer)
