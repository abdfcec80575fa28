"""Refusals as problem documents (RFC 9457): one sentence a person can act on, fields where one is to blame."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from sqlalchemy.exc import DBAPIError

from common.errors import (
    BundleError,
    ConflictError,
    NotFoundError,
    RookeryError,
    SpecError,
    UnknownDatasetError,
)
from common.logs import get_logger

log = get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
_SERVER_ERROR = 500
_STATUS: dict[type[RookeryError], int] = {
    NotFoundError: 404,
    UnknownDatasetError: 404,
    ConflictError: 409,
    BundleError: 409,
    SpecError: 409,
}


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of what was sent."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document. `type` is about:blank: the status says which kind it is."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    errors: list[FieldError] = []


class ProblemError(RookeryError):
    """A request is refused."""

    def __init__(
        self, status: int, detail: str, *, errors: Sequence[FieldError] = (), headers: dict[str, str] | None = None
    ) -> None:
        """Takes the status and the sentence a person reads."""
        super().__init__(detail)
        self.status = status
        self.errors = list(errors)
        self.headers = headers or {}


def problem_response(
    status: int, detail: str, *, errors: Sequence[FieldError] = (), headers: dict[str, str] | None = None
) -> web.Response:
    """The answer that carries a problem document."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors))
    return web.Response(
        body=msgspec.json.encode(problem), status=status, content_type=CONTENT_TYPE, headers=headers or {}
    )


@web.middleware
async def problems_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Makes a problem document of whatever a handler raises."""
    try:
        return await handler(request)
    except ProblemError as error:
        return problem_response(error.status, error.message, errors=error.errors, headers=error.headers)
    except RookeryError as error:
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), _SERVER_ERROR)
        if status == _SERVER_ERROR:
            log.exception("request failed", path=request.path)
        return problem_response(status, error.message)
    except web.HTTPException as error:
        return _of_aiohttp(request, error)
    except (OSError, DBAPIError) as error:
        return _of_the_database(request, error)
    except Exception:
        log.exception("request failed", path=request.path)
        return problem_response(_SERVER_ERROR, "something went wrong here; the console's log says what")


def _of_aiohttp(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """Aiohttp's own refusals: an unknown address, a method that is not allowed, a body that is too large."""
    if error.status < HTTPStatus.BAD_REQUEST:
        raise error
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    sentence = {
        404: f"there is nothing at {request.path[:200]}",
        405: f"{request.method} is not possible here; {allow.get('Allow', 'nothing')} is",
        413: "the body is too large",
    }.get(error.status, error.reason)
    return problem_response(error.status, sentence, headers=allow)


def _of_the_database(request: web.Request, error: Exception) -> web.Response:
    """A PostgreSQL that does not answer is a 503; a statement that it refuses is our defect."""
    original: Any = getattr(error, "orig", None) or error
    lost = isinstance(error, OSError) or getattr(error, "connection_invalidated", False)
    code = str(getattr(original, "sqlstate", "") or "")
    if lost or code[:2] in {"08", "53", "57"} or "Connection" in type(original).__name__:
        log.warning("PostgreSQL does not answer", path=request.path, error=f"{type(original).__name__}: {original}")
        return problem_response(
            503, "Postgres does not answer; nothing can be read or changed here", headers={"Retry-After": "2"}
        )
    log.error("request failed", path=request.path, exc_info=error)
    return problem_response(_SERVER_ERROR, "something went wrong here; the console's log says what")
