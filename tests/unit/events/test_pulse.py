"""Whether a worker works."""

import signal
import subprocess
import sys

import pytest

from common.events.pulse import LOOK_EVERY_S, STUCK_AFTER_S, Pulse, stopped_children
from tests.waiting import wait_until


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now_s


def works(
    pulse: Pulse, *, waiting: int = 0, reserved: int = 0, active: int = 0, begun: int = 0, stopped: int = 0
) -> bool:
    """What a pulse says of a worker in which nothing is but what is named."""
    return pulse.works(waiting=waiting, reserved=reserved, active=active, begun=begun, stopped=stopped)


def test_a_worker_with_an_empty_queue_works() -> None:
    """Having nothing to do is no fault, however long it lasts."""
    clock = Clock()
    pulse = Pulse(clock)
    for _ in range(5):
        assert works(pulse)
        clock.now_s += STUCK_AFTER_S


def test_a_busy_worker_works_though_messages_wait() -> None:
    """Messages that wait behind a long training are no fault."""
    clock = Clock()
    pulse = Pulse(clock)
    for _ in range(5):
        assert works(pulse, waiting=9, reserved=2, active=1, begun=2)
        clock.now_s += STUCK_AFTER_S


@pytest.mark.parametrize(
    "seen", [{"waiting": 1}, {"reserved": 1}, {"reserved": 1, "active": 1, "stopped": 1}, {"stopped": 1}]
)
def test_a_worker_that_begins_nothing_is_stuck_after_a_while(seen: dict[str, int]) -> None:
    """A message waits in the queue, or in the worker for a child, or a child is stopped: stuck after STUCK_AFTER_S."""
    clock = Clock()
    pulse = Pulse(clock)
    assert works(pulse, **seen)
    clock.now_s += STUCK_AFTER_S - 1
    assert works(pulse, **seen)
    clock.now_s += 2
    assert not works(pulse, **seen)
    assert works(pulse, waiting=1, begun=1)


def test_a_look_is_due_now_and_then() -> None:
    """Heartbeats come more often than Redis is asked."""
    clock = Clock()
    pulse = Pulse(clock)
    assert pulse.is_due()
    assert not pulse.is_due()
    clock.now_s += LOOK_EVERY_S
    assert pulse.is_due()


def test_a_stopped_child_is_seen() -> None:
    """A child that was stopped counts until it goes on."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        try:
            assert stopped_children() == 0
            child.send_signal(signal.SIGSTOP)
            wait_until(lambda: stopped_children() == 1)
            child.send_signal(signal.SIGCONT)
            wait_until(lambda: stopped_children() == 0)
        finally:
            child.kill()
