"""When a failed event, or a run that failed, is tried again: pure functions of how often it did."""

from collections.abc import Callable


def retry_delay_s(attempt: int, *, base_s: float, cap_s: float, random: Callable[[], float]) -> float:
    """Seconds to wait after the failed attempt number `attempt` (from 1): capped exponential backoff with full jitter.

    Uniform between 0 and min(cap, base * 2^(attempt - 1)), after Brooker, "Exponential Backoff And Jitter" (AWS
    Architecture Blog, 2015): many events that failed together do not come back together. `random` gives 0 to 1.
    """
    bound = min(cap_s, base_s * 2.0 ** min(attempt - 1, 60))
    return bound * random()


def wait_after_failures_s(failures: int, interval_s: float, *, longest_s: float) -> float:
    """Seconds until a data set whose last runs failed is tried again: doubles from two intervals to the longest."""
    return min(longest_s, interval_s * 2.0 ** min(failures, 30)) if failures else 0.0
