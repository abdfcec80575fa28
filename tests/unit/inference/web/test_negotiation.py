"""Which form a client prefers."""

import pytest

from services.inference.web.negotiation import preferred
from services.inference.web.problems import ProblemError

OFFERED = ("application/json", "text/csv")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/csv, */*;q=0.1", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
        ("text/csv;q=x, application/json;q=0.1", "application/json"),
    ],
)
def test_the_most_specific_range_decides(accept: str | None, expected: str) -> None:
    """The quality of the most specific range counts; of equals the first offer wins."""
    assert preferred(accept, OFFERED) == expected


def test_nothing_acceptable() -> None:
    """Where no offer is acceptable the refusal is 406."""
    with pytest.raises(ProblemError) as refusal:
        preferred("image/png", OFFERED)
    assert refusal.value.status == 406
