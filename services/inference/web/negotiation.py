"""Which form of an answer a client prefers (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

from services.inference.web.problems import ProblemError

CSV = "text/csv"
NDJSON = "application/x-ndjson"
NDJSON_TYPES = frozenset({NDJSON, "application/ndjson", "application/jsonl", "application/jsonlines"})


def preferred(accept: str | None, offered: Sequence[str]) -> str:
    """The best of what is offered, the first of equals. Raises ProblemError 406 where nothing is acceptable."""
    if not accept:
        return offered[0]
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    qualities = [_quality(kind, ranges) for kind in offered]
    best = max(qualities)
    if best <= 0:
        raise ProblemError(406, f"the answer can be {', '.join(offered)}; Accept allows none of them")
    return offered[qualities.index(best)]


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return kind, float(parameter[2:])
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that covers a type."""
    for pattern in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        found = [quality for candidate, quality in ranges if candidate == pattern]
        if found:
            return max(found)
    return 0.0
