"""When a process that died is started again: a pure function of how it died lately."""

from collections.abc import Sequence

import msgspec

FIRST_S = 0.5
CAP_S = 30.0
MEMORY_S = 60.0
# What had worked before it died is started at once, unless it dies more often than any outside cause explains.
OFTEN = 40


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a process that nobody asked for. `at_s` is of a clock that only rises."""

    at_s: float
    had_worked: bool


def restart_delay_s(deaths: Sequence[Death]) -> float:
    """Seconds to wait before the next start, given all deaths so far, the latest one last.

    What died before it worked is tried again after 0.5 s, 1 s, 2 s ... 30 s. What had worked is started at once: its
    work waits, and the cause is likely to lie outside.
    """
    if not deaths:
        return 0.0
    if deaths[-1].had_worked:
        recent = [death for death in deaths if deaths[-1].at_s - death.at_s <= MEMORY_S]
        return 0.0 if len(recent) < OFTEN else CAP_S / 6
    failed_starts = 0
    for death in reversed(deaths):
        if death.had_worked:
            break
        failed_starts += 1
    return float(min(FIRST_S * 2 ** (failed_starts - 1), CAP_S))
