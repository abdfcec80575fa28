"""When a failed event is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from common.events.retry import retry_delay_s


@given(attempt=st.integers(1, 10_000), draw=st.floats(0, 1))
def test_a_wait_is_within_its_bounds(attempt: int, draw: float) -> None:
    """No wait is negative or longer than the cap, whatever the attempt."""
    assert 0 <= retry_delay_s(attempt, base_s=1, cap_s=300, random=lambda: draw) <= 300


def test_the_bound_doubles_until_the_cap() -> None:
    """The longest possible wait doubles with each attempt and stops at the cap."""
    longest = [retry_delay_s(attempt, base_s=1, cap_s=10, random=lambda: 1.0) for attempt in range(1, 7)]
    assert longest == [1, 2, 4, 8, 10, 10]


def test_the_jitter_is_full() -> None:
    """A wait may be nothing at all: what failed together does not come back together."""
    assert retry_delay_s(5, base_s=1, cap_s=10, random=lambda: 0.0) == 0
