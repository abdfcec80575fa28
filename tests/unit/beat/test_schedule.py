"""What is due."""

from beat.schedule import Tick, due_ticks


def test_each_data_set_ticks_once_in_its_window() -> None:
    """A data set whose window has its tick is not due again before the next one."""
    first = due_ticks({"a": 30, "b": 60}, now_s=120, paused=(), busy=(), ticked={})
    assert first == [Tick(dataset="a", window=4), Tick(dataset="b", window=2)]
    ticked = {tick.dataset: tick.window for tick in first}
    assert due_ticks({"a": 30, "b": 60}, now_s=149, paused=(), busy=(), ticked=ticked) == []
    assert due_ticks({"a": 30, "b": 60}, now_s=150, paused=(), busy=(), ticked=ticked) == [Tick(dataset="a", window=5)]


def test_missed_windows_are_caught_up_once() -> None:
    """After a day without beat there is one tick, not two thousand."""
    assert due_ticks({"a": 30}, now_s=86_400, paused=(), busy=(), ticked={"a": 1}) == [Tick(dataset="a", window=2880)]


def test_a_clock_that_jumps_back_gives_one_tick() -> None:
    """Another window is another window, also an earlier one; its id decides whether it exists."""
    assert due_ticks({"a": 30}, now_s=30, paused=(), busy=(), ticked={"a": 2880}) == [Tick(dataset="a", window=1)]


def test_a_paused_or_busy_data_set_has_no_tick() -> None:
    """Pausing stops the ticks, and an open ingest is not asked for again."""
    assert due_ticks({"a": 30, "b": 30}, now_s=60, paused={"a"}, busy={"b"}, ticked={}) == []
