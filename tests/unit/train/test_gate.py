"""Whether a candidate goes live."""

from typing import Any

import pytest

from common.datasets import GateSpec
from services.train.gate import FEWEST_UNSEEN, Comparison, comparable_rows, judge

GATE = GateSpec(metric="accuracy")


def verdict(gate: GateSpec = GATE, **values: Any) -> tuple[bool, str]:
    """The verdict on a comparison on 100 rows."""
    found = judge(gate, Comparison(**({"candidate": 0.9, "live": 0.9, "live_version": 3, "rows": 100} | values)))
    return found.passed, found.reason


@pytest.mark.parametrize(
    ("candidate", "live", "passed"),
    [(0.9, 0.9, True), (0.85, 0.9, True), (0.8499, 0.9, False), (0.95, 0.9, True), (0.0, 0.0, True), (0.0, 1.0, False)],
)
def test_a_candidate_may_lose_a_little(candidate: float, live: float, passed: bool) -> None:
    """By default an equal candidate passes, and one that is up to 0.05 worse."""
    assert verdict(candidate=candidate, live=live)[0] == passed


@pytest.mark.parametrize(
    ("gate", "candidate", "passed"),
    [
        (GateSpec(metric="accuracy", threshold=0.95), 0.94, False),
        (GateSpec(metric="accuracy", threshold=0.95), 0.95, True),
        (GateSpec(metric="accuracy", min_absolute_change=0.01), 0.9, False),
        (GateSpec(metric="accuracy", min_absolute_change=0.01), 0.91, True),
        (GateSpec(metric="accuracy", min_relative_change=0.1), 0.98, False),
        (GateSpec(metric="accuracy", min_relative_change=0.1), 0.99, True),
        (GateSpec(metric="loss", greater_is_better=False), 0.96, False),
        (GateSpec(metric="loss", greater_is_better=False), 0.2, True),
        (GateSpec(metric="loss", greater_is_better=False, threshold=0.5), 0.6, False),
    ],
)
def test_each_limit_is_obeyed(gate: GateSpec, candidate: float, passed: bool) -> None:
    """Threshold, absolute and relative change each hold what misses them, for metrics of either direction."""
    assert verdict(gate, candidate=candidate)[0] == passed


@pytest.mark.parametrize(
    ("candidate", "live", "before", "passed"),
    [
        (0.44, 0.38, 0.98, False),  # shuffled labels: the largest class is guessed
        (0.90, 0.60, 0.98, True),  # another world, which the candidate knows
        (0.90, 0.90, 0.98, True),  # harder rows
        (0.70, 0.70, 0.98, False),  # rows in doubt
        (0.44, 0.38, None, True),
    ],
)
def test_rows_that_nobody_can_explain_are_doubted(
    candidate: float, live: float, before: float | None, passed: bool
) -> None:
    """Where both are far worse than the live one was at its publication, an equally bad candidate is held."""
    assert verdict(candidate=candidate, live=live, live_before=before)[0] == passed


def test_reasons_say_what_was_compared() -> None:
    """The sentence has both figures, the version, the rows, and how many of them were known to the live one."""
    _, reason = verdict(candidate=0.7, seen=40)
    assert reason == (
        "accuracy 0.7000, live version 3 has 0.9000 on the same 100 test rows, 40 of which it was trained on:"
        " a change of at least -0.05 is asked for"
    )


def test_without_a_live_version_the_threshold_alone_decides() -> None:
    """What cannot be compared passes, says why, and is still held by a threshold; no figure, no pass."""
    assert verdict(live=None, why_not="the first version") == (True, "accuracy 0.9000; the first version")
    assert not verdict(GateSpec(metric="accuracy", threshold=0.95), live=None)[0]
    assert not verdict(candidate=None)[0]


def test_rows_the_live_version_knows_are_left_out_where_others_suffice() -> None:
    """Unseen rows are compared on; where they are too few, all are."""
    unseen = [False] * FEWEST_UNSEEN
    assert comparable_rows([True, *unseen, True]) == list(range(1, FEWEST_UNSEEN + 1))
    assert comparable_rows([True, *unseen[1:]]) == list(range(FEWEST_UNSEEN))
    assert comparable_rows([False, False]) == [0, 1]
