"""What is due."""

import pytest

from beat.schedule import LONGEST_WAIT_S, Changes, Ended, Tick, due_ticks, next_try_s


def test_each_data_set_ticks_once_in_its_window() -> None:
    """A data set whose window has its tick is not due again before the next one."""
    first = due_ticks({"a": 30, "b": 60}, now_s=120, paused=(), busy=(), ticked={}, ended={})
    assert first == [Tick(dataset="a", window=4), Tick(dataset="b", window=2)]
    ticked = {tick.dataset: tick.window for tick in first}
    assert due_ticks({"a": 30, "b": 60}, now_s=149, paused=(), busy=(), ticked=ticked, ended={}) == []
    assert due_ticks({"a": 30, "b": 60}, now_s=150, paused=(), busy=(), ticked=ticked, ended={}) == [
        Tick(dataset="a", window=5)
    ]


def test_missed_windows_are_caught_up_once() -> None:
    """After a day without beat there is one tick, not two thousand."""
    assert due_ticks({"a": 30}, now_s=86_400, paused=(), busy=(), ticked={"a": 1}, ended={}) == [
        Tick(dataset="a", window=2880)
    ]


def test_a_clock_that_jumps_back_gives_one_tick() -> None:
    """Another window is another window, also an earlier one; its id decides whether it exists."""
    assert due_ticks({"a": 30}, now_s=30, paused=(), busy=(), ticked={"a": 2880}, ended={}) == [
        Tick(dataset="a", window=1)
    ]


def test_a_paused_or_busy_data_set_has_no_tick() -> None:
    """Pausing stops the ticks, and an open ingest is not asked for again."""
    assert due_ticks({"a": 30, "b": 30}, now_s=60, paused={"a"}, busy={"b"}, ticked={}, ended={}) == []


def test_a_change_is_told_once_it_has_settled() -> None:
    """A file that is being written is left alone; once it is the same in two looks, its change is told, once."""
    changes = Changes()
    told = [changes.look({"a": mark}, silent=()) for mark in ("1", "1", "2", "3", "3", "3")]
    assert told == [{}, {}, {}, {}, {"a": "3"}, {}]


def test_what_is_seen_first_is_no_change() -> None:
    """A new data set is the first tick's business."""
    changes = Changes()
    assert [changes.look({"a": "1"}, silent=()) for _ in range(3)] == [{}, {}, {}]


def test_the_change_of_a_silent_data_set_is_told_later() -> None:
    """What changed while a data set was paused or busy is told when it no longer is."""
    changes = Changes()
    for _ in range(2):
        changes.look({"a": "1"}, silent=())
    told = [changes.look({"a": "2"}, silent={"a"}) for _ in range(3)]
    assert told == [{}, {}, {}]
    assert changes.look({"a": "2"}, silent=()) == {"a": "2"}
    assert changes.look({"a": "2"}, silent=()) == {}


FAILED, WELL = Ended(failed=True, at_s=1_000.0), Ended(failed=False, at_s=1_000.0)


@pytest.mark.parametrize(
    ("runs", "wait_s"),
    [
        ([], None),
        ([WELL, FAILED], None),
        ([FAILED], 60),
        ([FAILED, WELL, FAILED], 60),
        ([FAILED] * 3, 240),
        ([FAILED] * 10, LONGEST_WAIT_S),
    ],
)
def test_each_failure_in_a_row_doubles_the_wait(runs: list[Ended], wait_s: float | None) -> None:
    """The last run's failure costs two intervals, more of them up to ten minutes; one that went well ends it."""
    assert next_try_s(runs, 30) == (0 if wait_s is None else 1_000 + wait_s)


def test_a_data_set_that_fails_is_left_alone_for_a_while() -> None:
    """Its windows pass without a tick until the wait is over; then it has one at once. Others go on."""
    due = [
        [
            tick.dataset
            for tick in due_ticks(
                {"a": 30, "b": 30},
                now_s=now_s,
                paused=(),
                busy=(),
                ticked={"a": 1, "b": 1},
                ended={"a": [FAILED, FAILED]},
            )
        ]
        for now_s in (1_031, 1_119, 1_121)
    ]
    assert due == [["b"], ["b"], ["a", "b"]]


def test_what_failed_is_tried_when_beat_begins() -> None:
    """What was set right while nothing ran is found by the first tick."""
    (tick,) = due_ticks({"a": 30}, now_s=1_001, paused=(), busy=(), ticked={}, ended={"a": [FAILED] * 10})
    assert tick.dataset == "a"
