"""The prediction API as the command line calls it."""

import urllib.error
import urllib.request
from typing import Any

import msgspec

from common.errors import RookeryError
from common.settings import Settings


class ApiError(RookeryError):
    """The prediction API refused or did not answer."""


def call_api(settings: Settings, path: str, body: object = None, *, seconds: float = 30.0) -> Any:
    """The answer to a GET, or to a POST where there is a body. Raises ApiError with the API's own words."""
    request = urllib.request.Request(f"{settings.inference_url}{path}")  # noqa: S310 - an address of our own
    if body is not None:
        request.data = msgspec.json.encode(body)
        request.add_header("Content-Type", "application/json")
    key = settings.inference_api_keys.split(",")[0].strip()
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310 - likewise
            return msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            raise ApiError(_words(error.read(), error.code)) from error
    except (OSError, msgspec.MsgspecError) as error:
        reason = getattr(error, "reason", error)  # urllib wraps it in brackets of its own
        raise ApiError(
            f"the prediction API at {settings.inference_url} does not answer ({reason}): is the stack up? `rookery up`"
        ) from error


def _words(content: bytes, status: int) -> str:
    """What a problem document (RFC 9457) says."""
    try:
        problem = msgspec.json.decode(content)
        return str(problem.get("detail") or problem.get("title") or status)
    except (msgspec.MsgspecError, AttributeError):
        return f"the prediction API answered {status}"
