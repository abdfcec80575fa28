"""When a process that died is started again."""

import pytest

from services.local.policy import CAP_S, OFTEN, Death, restart_delay_s


def _deaths(*, had_worked: bool, count: int, every_s: float = 1.0) -> list[Death]:
    return [Death(at_s=number * every_s, had_worked=had_worked) for number in range(count)]


@pytest.mark.parametrize(("count", "delay_s"), [(0, 0.0), (1, 0.5), (2, 1.0), (3, 2.0), (7, CAP_S), (100, CAP_S)])
def test_what_never_worked_waits_twice_as_long_each_time(count: int, delay_s: float) -> None:
    """Failed starts are repeated after 0.5 s, 1 s, 2 s ... up to the cap."""
    assert restart_delay_s(_deaths(had_worked=False, count=count)) == delay_s


def test_what_had_worked_is_started_at_once() -> None:
    """A worker that is killed every two seconds loses no time to a backoff."""
    assert restart_delay_s(_deaths(had_worked=True, count=20, every_s=2.0)) == 0.0


def test_what_dies_all_the_time_is_slowed_down() -> None:
    """A process that works for a moment and dies again does not keep a core busy."""
    assert restart_delay_s(_deaths(had_worked=True, count=OFTEN, every_s=0.5)) > 1.0


def test_working_once_makes_earlier_failures_forgotten() -> None:
    """Only the failures since it last worked count."""
    deaths = [*_deaths(had_worked=False, count=6), Death(at_s=50, had_worked=True), Death(at_s=51, had_worked=False)]
    assert restart_delay_s(deaths) == 0.5
