"""Whether a candidate goes live: pure functions of scores.

Names and meaning of the limits are those of MLflow's `MetricThreshold`
(https://mlflow.org/docs/latest/python_api/mlflow.models.html#mlflow.models.MetricThreshold).
"""

import msgspec

from common.datasets import GateSpec

# Fewer rows than this that the live version was not trained on say too little: one more error would decide.
FEWEST_UNSEEN = 30
_SLACK = 1e-12
# So many times the change allowed below what the live version reached when it was published, the data are in doubt.
_COLLAPSE = 3.0


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Candidate and live version on the same test rows. `live` is None where they were not compared: `why_not`.

    `rows` were compared; `seen` of them the live version was trained on. `live_before` is what the live version reached
    on its own test rows when it was published.
    """

    candidate: float | None
    live: float | None = None
    live_before: float | None = None
    live_version: int | None = None
    rows: int = 0
    seen: int = 0
    why_not: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Passed or not, and the sentence that says why."""

    passed: bool
    reason: str


def judge(gate: GateSpec, comparison: Comparison) -> Verdict:
    """Holds a candidate that misses the threshold or is too much worse than the live version; an equal one passes."""
    sign = 1.0 if gate.greater_is_better else -1.0
    candidate, live = comparison.candidate, comparison.live
    if candidate is None:
        return Verdict(passed=False, reason=f"{gate.metric} could not be computed on the test rows")
    if gate.threshold is not None and sign * (candidate - gate.threshold) < -_SLACK:
        return Verdict(passed=False, reason=f"{gate.metric} {candidate:.4f} misses the threshold {gate.threshold:g}")
    if live is None:
        why = f"; {comparison.why_not}" if comparison.why_not else ""
        return Verdict(passed=True, reason=f"{gate.metric} {candidate:.4f}{why}")
    sentence = _sentence(gate, comparison, candidate, live)
    change = sign * (candidate - live)
    if change < gate.min_absolute_change - _SLACK:
        return Verdict(
            passed=False, reason=f"{sentence}: a change of at least {gate.min_absolute_change:+g} is asked for"
        )
    if gate.min_relative_change is not None and change < gate.min_relative_change * abs(live) - _SLACK:
        return Verdict(
            passed=False, reason=f"{sentence}: a relative change of at least {gate.min_relative_change:+g} is asked for"
        )
    if _collapsed(gate, comparison, candidate, live):
        return Verdict(
            passed=False, reason=f"{sentence}: far from the {comparison.live_before:.4f} that it was published with"
        )
    return Verdict(passed=True, reason=sentence)


def _collapsed(gate: GateSpec, comparison: Comparison, candidate: float, live: float) -> bool:
    """Tells whether on these rows both are far worse than the live version once was, and the candidate hardly better.

    So it is where a column was shuffled or mislabelled: an equally bad candidate would pass a comparison on such rows
    alone. Where the world has changed, the candidate makes up for at least half of what the live one has lost.
    Errors without an upper bound (`neg_...`) have no scale to tell a collapse by.
    """
    before = comparison.live_before
    if before is None or gate.metric.startswith("neg_") or gate.min_absolute_change > 0.0:
        return False
    sign = 1.0 if gate.greater_is_better else -1.0
    allowed = sign * before + _COLLAPSE * gate.min_absolute_change
    return sign * candidate < min(allowed, sign * (before + live) / 2.0) - _SLACK


def comparable_rows(seen: list[bool]) -> list[int]:
    """Which test rows to compare on: those the live version was not trained on, or all where these are too few."""
    unseen = [row for row, known in enumerate(seen) if not known]
    return unseen if len(unseen) >= FEWEST_UNSEEN or len(unseen) == len(seen) else list(range(len(seen)))


def _sentence(gate: GateSpec, comparison: Comparison, candidate: float, live: float) -> str:
    seen = f", {comparison.seen} of which it was trained on" if comparison.seen else ""
    return (
        f"{gate.metric} {candidate:.4f}, live version {comparison.live_version} has {live:.4f}"
        f" on the same {comparison.rows} test rows{seen}"
    )
