"""A worker's children that have grown are replaced while there is nothing to do: what a fit or a picture took stays.

Celery's own `worker_max_memory_per_child` ends a child between two events, and an event that was already on its way to
it is found missing seconds later (met in a chain that took 1.9 s instead of 0.5 s).
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import psutil

from common.logs import get_logger

LOOK_EVERY_S = 5.0
IDLE_S = 10.0
# Above what a child has that has done nothing. Each fit takes more, and each set of pictures.
GROWTH_BYTES = 24 * 2**20
# Seconds after a replacement at which the pool looks for children that have ended. Celery itself looks once when a
# child closes its files, often just before it has ended, and then every five seconds: an event waited as long (met).
SETTLING_S = tuple(0.05 * number for number in range(1, 41))

log = get_logger(__name__)


class Pool(Protocol):
    """What is needed of Celery's pool of children."""

    def shrink(self, n: int, /) -> None:
        """Ends so many children that have nothing to do."""

    def grow(self, n: int, /) -> None:
        """Starts so many more."""


class Renewal:
    """Looks from time to time. `size` is the memory of a child that has done nothing, shared parts included."""

    def __init__(self, pool: Pool, size: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._limit = size + GROWTH_BYTES
        self._clock = clock
        self._accepted = 0
        self._idle_since = clock()

    def look(self, *, reserved: int, accepted: int, sizes: Sequence[int]) -> bool:
        """Replaces all children if one has grown, and the worker has had nothing to do for a while; tells whether.

        `reserved` events are at hand, `accepted` were taken so far, and `sizes` is the memory of each child.
        """
        if reserved or accepted != self._accepted:
            self._accepted, self._idle_since = accepted, self._clock()
            return False
        if self._clock() - self._idle_since < IDLE_S or max(sizes, default=0) <= self._limit:
            return False
        log.info("children are replaced", mib=[size // 2**20 for size in sizes])
        self._pool.shrink(len(sizes))
        self._pool.grow(len(sizes))
        return True


def resident(pid: int | None = None) -> int:
    """The memory of a process in bytes, shared parts included; 0 where it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
