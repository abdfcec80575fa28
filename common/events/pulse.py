"""Whether a worker works: not that its process lives, but that Redis answers it and that it takes what waits.

A worker tells it by the age of its ready file (`Settings.ready_file`): whoever started it looks at that, which costs
nothing, while `celery inspect ping` starts a second Celery each time. A worker that lives but consumes nothing is a
known end of a lost connection, so one that has free processes while messages wait counts as stuck after a while.
"""

import time
from collections.abc import Callable

import redis
from celery.worker import state

from common.events.topology import queue_name
from common.logs import get_logger
from common.settings import Settings

LOOK_EVERY_S = 5.0
STUCK_AFTER_S = 60.0
_TIMEOUT_S = 2.0

log = get_logger(__name__)


class Pulse:
    """Remembers since when nothing was taken although something waited."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._idle_since: float | None = None
        self._accepted = 0
        self._looked_at = -LOOK_EVERY_S

    def is_due(self) -> bool:
        """Whether it is time for another look; True counts as one."""
        now = self._clock()
        if now - self._looked_at < LOOK_EVERY_S:
            return False
        self._looked_at = now
        return True

    def works(self, *, waiting: int, reserved: int, accepted: int) -> bool:
        """Whether a worker works that has taken `accepted` messages so far and has `reserved` now, of a queue.

        False once `waiting` messages have stood there for STUCK_AFTER_S while it had nothing and took nothing.
        """
        idle = waiting > 0 and reserved == 0 and accepted == self._accepted
        self._accepted = accepted
        if not idle:
            self._idle_since = None
            return True
        if self._idle_since is None:
            self._idle_since = self._clock()
        return self._clock() - self._idle_since < STUCK_AFTER_S


def make_heartbeat(service: str, settings: Settings) -> Callable[..., None]:
    """What a worker's parent calls at each heartbeat, every two seconds, from its own loop."""
    pulse = Pulse()
    client = redis.Redis.from_url(
        settings.redis, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry_on_timeout=False
    )

    def on_heartbeat(**_: object) -> None:
        if not pulse.is_due():
            return
        try:
            waiting = int(client.llen(queue_name(service)))
        except (redis.RedisError, OSError) as error:
            log.warning("no heartbeat", error=str(error).splitlines()[0])
            return
        if pulse.works(waiting=waiting, reserved=len(state.reserved_requests), accepted=state.all_total_count[0]):
            settings.tell_ready()
        else:
            log.error("this worker takes nothing, though messages wait", waiting=waiting)

    return on_heartbeat
