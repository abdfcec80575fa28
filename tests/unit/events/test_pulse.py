"""Whether a worker works."""

from common.events.pulse import LOOK_EVERY_S, STUCK_AFTER_S, Pulse


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now_s


def test_a_worker_with_an_empty_queue_works() -> None:
    """Having nothing to do is no fault, however long it lasts."""
    clock = Clock()
    pulse = Pulse(clock)
    for _ in range(5):
        assert pulse.works(waiting=0, reserved=0, accepted=0)
        clock.now_s += STUCK_AFTER_S


def test_a_busy_worker_works_though_messages_wait() -> None:
    """Messages that wait behind a long training are no fault."""
    clock = Clock()
    pulse = Pulse(clock)
    for _ in range(5):
        assert pulse.works(waiting=9, reserved=2, accepted=2)
        clock.now_s += STUCK_AFTER_S


def test_a_worker_that_takes_nothing_is_stuck_after_a_while() -> None:
    """Messages wait and a process is free, but nothing is taken: after STUCK_AFTER_S that counts as stuck."""
    clock = Clock()
    pulse = Pulse(clock)
    assert pulse.works(waiting=1, reserved=0, accepted=0)
    clock.now_s += STUCK_AFTER_S - 1
    assert pulse.works(waiting=1, reserved=0, accepted=0)
    clock.now_s += 2
    assert not pulse.works(waiting=1, reserved=0, accepted=0)
    assert pulse.works(waiting=1, reserved=0, accepted=1)


def test_a_look_is_due_now_and_then() -> None:
    """Heartbeats come more often than Redis is asked."""
    clock = Clock()
    pulse = Pulse(clock)
    assert pulse.is_due()
    assert not pulse.is_due()
    clock.now_s += LOOK_EVERY_S
    assert pulse.is_due()
