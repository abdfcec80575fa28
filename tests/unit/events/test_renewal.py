"""When the children of a worker are replaced."""

import os
from collections.abc import Callable
from unittest.mock import MagicMock

import pytest

from common.events.renewal import GROWTH_BYTES, IDLE_S, SETTLING_S, Renewal, resident
from common.events.runtime import renew_children

SIZE = 200 * 2**20
GROWN = SIZE + GROWTH_BYTES + 1


class FakePool:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def shrink(self, n: int, /) -> None:
        """As of a pool."""
        self.asked.append(("shrink", n))

    def grow(self, n: int, /) -> None:
        """As of a pool."""
        self.asked.append(("grow", n))


class Desk:
    """A renewal whose clock is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pool = FakePool()
        self.renewal = Renewal(self.pool, SIZE, clock=lambda: self.now)

    def look(self, now: float, *sizes: int, reserved: int = 0, accepted: int = 0) -> bool:
        """One look at that time; tells whether children were replaced."""
        self.now = now
        return self.renewal.look(reserved=reserved, accepted=accepted, sizes=sizes)


@pytest.fixture
def desk() -> Desk:
    """A desk at time 0."""
    return Desk()


def test_all_children_are_replaced_where_one_has_grown(desk: Desk) -> None:
    """Idle for long enough, with one child above the limit: as many are started as were ended."""
    assert desk.look(IDLE_S, SIZE, GROWN)
    assert desk.pool.asked == [("shrink", 2), ("grow", 2)]


def test_children_that_have_not_grown_stay(desk: Desk) -> None:
    """What a child may have above the size of one that has done nothing is no reason."""
    assert not desk.look(IDLE_S, SIZE, GROWN - 1)
    assert desk.pool.asked == []


def test_a_worker_that_has_work_keeps_its_children(desk: Desk) -> None:
    """With an event at hand, however long it takes, no child is ended."""
    desk.look(10 * IDLE_S, GROWN, reserved=1)
    assert desk.pool.asked == []


def test_an_event_taken_between_two_looks_counts_as_work(desk: Desk) -> None:
    """The time without work begins anew with each event that was taken, be it done by the next look."""
    desk.look(IDLE_S, GROWN, accepted=1)
    desk.look(2 * IDLE_S - 0.1, GROWN, accepted=1)
    assert desk.pool.asked == []
    desk.look(2 * IDLE_S, GROWN, accepted=1)
    assert desk.pool.asked == [("shrink", 1), ("grow", 1)]


def test_a_process_that_is_gone_has_no_size() -> None:
    """A child that ends while it is looked at is no error."""
    assert resident() > 0
    assert resident(2**22 + 1) == 0


class FakeWorker:
    """What a worker's parent has for it: a timer that runs nothing by itself, and a pool of this process as child."""

    def __init__(self) -> None:
        self.repeated: list[Callable[[], None]] = []
        self.later: list[tuple[float, object]] = []
        self.timer = self
        self.pool = MagicMock(info={"processes": [os.getpid()]})

    def call_repeatedly(self, _every_s: float, work: Callable[[], None]) -> None:
        """As of a timer."""
        self.repeated.append(work)

    def call_after(self, after_s: float, work: object) -> None:
        """As of a timer."""
        self.later.append((after_s, work))


def test_a_replacement_is_followed_up_until_the_new_children_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool is told to look for ended children soon: by itself it may take five seconds to start the new ones."""
    worker = FakeWorker()
    monkeypatch.setattr(Renewal, "look", lambda *_, **__: True)
    renew_children(worker)
    worker.repeated[0]()
    assert worker.later == [(after_s, worker.pool.maintain_pool) for after_s in SETTLING_S]
