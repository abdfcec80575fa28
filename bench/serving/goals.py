"""What the bench is to show: each goal as a ratio of two figures of the same run."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.bundles import FAMILIES

Verdict = tuple[str, str, str, bool | None]


def verdicts(figures: Mapping[str, Any], cores: int) -> Iterator[Verdict]:
    """Each goal: what, the figure, the goal, whether it is met."""
    one, hundred = figures["1"], figures["100"]
    used = figures["generator"][figures["generator"]["name"]]
    times = used["constant_per_s"] / used["bare_per_s"]
    yield (
        "the load generator, of the bare handler",
        f"{times:.1f}x (busy {used['busy_on_bare']:.0%})",
        "1.5x",
        times >= 1.5,
    )
    if len(figures["generator"]) > 2:
        mine, theirs = (figures["generator"][name]["bare_per_s"] for name in ("own", "wrk"))
        apart = mine / theirs
        yield "our generator's rate on the bare handler, of wrk's", f"{apart:.0%}", "90%", apart >= 0.9
    for family in FAMILIES:
        yield _share(f"{family}, 1 record", one[family], one["bare"], 0.75)
        goal = 200 if family == "random_forest" else 50
        yield _times(f"{family}, 1 record", one[family], one[f"naive {family}"], goal)
        least = 0.4 if family == "logistic_regression" else 0.3
        yield _share(f"{family}, 100 records", hundred[family], hundred["bare"], least)
    yield _times("random_forest, 100 records", hundred["random_forest"], hundred["naive random_forest"], 50)
    for family in FAMILIES:
        over = figures["p50_ms"][family] - figures["p50_ms"]["bare"]
        yield f"{family}, one connection, p50 over the bare handler's", f"{over:.3f} ms", "0.15 ms", over <= 0.15
    over = figures["paced"]["rookery_p99_ms"] - figures["paced"]["bare_p99_ms"]
    yield f"p99 at {figures['paced']['rate_per_s']:.0f}/s over the bare handler's", f"{over:.2f} ms", "3 ms", over <= 3
    share = one["compare"]["per_s"] / one["random_forest"]["per_s"]
    yield "/predict/compare of three models, of /predict", f"{share:.0%}", "50%", share >= 0.5
    if "two_processes" in figures:
        times = figures["two_processes"]["random_forest"]["per_s"] / one["random_forest"]["per_s"]
        yield "two processes, of one", f"{times:.2f}x", "1.7x", times >= 1.7
    else:
        yield "two processes, of one", f"not measured: {cores} cores", "1.7x", None
    yield "memory with three models", f"{figures['rss_mb']:.0f} MB", "120 MB", figures["rss_mb"] <= 120
    first = figures["first_prediction_s"]
    yield "first prediction after the start", f"{first:.2f} s", "1 s", first <= 1
    added = figures["large"]["p99_ms_beside"] - figures["large"]["p99_ms_without"]
    yield "p99 added by a request of 50,000 records", f"{added:.1f} ms", "20 ms", added <= 20
    mistakes = sum(figures["wrong_of_333"]["rookery"].values())
    yield "wrong answers of 999", str(mistakes), "0", mistakes == 0


def _share(what: str, ours: Mapping[str, float], bare: Mapping[str, float], least: float) -> Verdict:
    """A share of the bare handler's rate; in processor time per request behind it."""
    share, of_time = ours["per_s"] / bare["per_s"], bare["cpu_us"] / ours["cpu_us"]
    return f"{what}, of the bare handler", f"{share:.0%} (CPU {of_time:.0%})", f"{least:.0%}", share >= least


def _times(what: str, ours: Mapping[str, float], naive: Mapping[str, float], goal: int) -> Verdict:
    """How many times the naive service's rate; in processor time per request behind it."""
    times, of_time = ours["per_s"] / naive["per_s"], naive["cpu_us"] / ours["cpu_us"]
    return f"{what}, of the naive service", f"{times:.0f}x (CPU {of_time:.0f}x)", f"{goal}x", times >= goal
