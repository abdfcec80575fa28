"""Whether a worker works: not that its process lives, but that Redis answers it and that it takes what waits.

A worker tells it by the age of its ready file (`Settings.ready_file`): whoever started it looks at that, which costs
nothing, while `celery inspect ping` starts a second Celery each time. A worker that lives but consumes nothing is a
known end of a lost connection, and one whose child was stopped holds a message that nobody begins; so one that begins
nothing while messages wait, or has a stopped child, counts as stuck after a while.
"""

import contextlib
import time
from collections.abc import Callable

import psutil
import redis
from celery.worker import state

from common.events.topology import queue_name
from common.logs import get_logger
from common.settings import Settings

LOOK_EVERY_S = 5.0
STUCK_AFTER_S = 20.0
_TIMEOUT_S = 2.0

log = get_logger(__name__)


class Pulse:
    """Remembers since when nothing was begun although something waited."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stuck_since: float | None = None
        self._begun = 0
        self._looked_at = -LOOK_EVERY_S

    def is_due(self) -> bool:
        """Whether it is time for another look; True counts as one."""
        now = self._clock()
        if now - self._looked_at < LOOK_EVERY_S:
            return False
        self._looked_at = now
        return True

    def works(self, *, waiting: int, reserved: int, active: int, begun: int, stopped: int) -> bool:
        """Whether a worker works that has begun `begun` messages so far and is at work on `active` of them.

        False once for STUCK_AFTER_S it has had a child that is stopped, or has begun nothing and worked on nothing
        while messages waited in the queue, or, `reserved`, in itself.
        """
        idle = waiting + reserved > 0 and active == 0 and begun == self._begun
        self._begun = begun
        if not idle and not stopped:
            self._stuck_since = None
            return True
        if self._stuck_since is None:
            self._stuck_since = self._clock()
        return self._clock() - self._stuck_since < STUCK_AFTER_S


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
        seen = {
            "waiting": waiting,
            "reserved": len(state.reserved_requests),
            "active": len(state.active_requests),
            "begun": state.all_total_count[0],
            "stopped": stopped_children(),
        }
        if pulse.works(**seen):
            settings.tell_ready()
        else:
            log.error("this worker begins nothing, though messages wait, or has a stopped child", **seen)

    return on_heartbeat


def stopped_children() -> int:
    """How many children of this process are stopped, by SIGSTOP for instance."""
    stopped = 0
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            stopped += child.status() == psutil.STATUS_STOPPED
    return stopped
