"""Every refusal is a problem document (RFC 9457) that says what is wrong, and where: the record and the field."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from common.errors import RecordError, RookeryError
from services.inference.web.answers import Answer

PROBLEM = "application/problem+json"
RETRY_AFTER_S = 2
# RFC 9110 renamed it; Python 3.11 has the old name.
_TITLES = {422: "Unprocessable Content", 413: "Content Too Large"}


class ProblemError(RookeryError):
    """The request cannot be answered."""

    def __init__(
        self, status: int, detail: str, *, headers: Sequence[tuple[str, str]] = (), close: bool = False, **members: Any
    ) -> None:
        """Takes the status, a sentence, headers of the answer, and further members of the problem document."""
        super().__init__(detail)
        self.status = status
        self.headers = tuple(headers)
        self.close = close
        self.members: Mapping[str, Any] = members

    def answer(self) -> Answer:
        """The problem document."""
        return problem(self.status, self.message, headers=self.headers, close=self.close, **self.members)


def problem(
    status: int, detail: str, *, headers: Sequence[tuple[str, str]] = (), close: bool = False, **members: Any
) -> Answer:
    """A problem document as an answer."""
    document = {
        "type": "about:blank",
        "title": _TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **members,
    }
    return Answer(msgspec.json.encode(document), status=status, content_type=PROBLEM, headers=headers, close=close)


def of_record(error: RecordError) -> Answer:
    """What a record's problem answers."""
    members: dict[str, Any] = {"record": error.record, "field": error.field}
    if error.known:
        members["known"] = list(error.known)
    return problem(422, error.message, **members)


def unavailable(detail: str) -> ProblemError:
    """Not now, but soon: 503 with `Retry-After`."""
    return ProblemError(503, detail, headers=(("Retry-After", str(RETRY_AFTER_S)),))
