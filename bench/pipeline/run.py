"""From a request to served models, against one plain script; and a large grid on two train processes against one.

`python -m bench.pipeline.run` prints a table with the marks and writes bench/results/pipeline.json. Contenders take
turns, and medians are compared. A mark missed is printed and fails nothing: it depends on who else uses the machine.
"""

import asyncio
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.pipeline.stack import ROOT, Running, running_stack

RESULTS = ROOT / "bench" / "results" / "pipeline.json"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
GRID_ROUNDS = int(os.environ.get("BENCH_GRID_ROUNDS", "3"))
MODELS = ("logistic_regression", "random_forest", "svc")
GRID_ROWS, GRID_COLUMNS = 20_000, 3
DEPTHS, LEAVES = list(range(3, 13)), list(range(5, 105, 10))
GRID_SPEC = f"""
target = "kind"
task = "classification"
[source]
kind = "csv"
path = "grid.csv"
[features]
numeric = {json.dumps([f"x{number}" for number in range(GRID_COLUMNS)])}
[schedule]
interval_s = 86400
[families.tree]
estimator = "sklearn.tree.DecisionTreeClassifier"
grid = {{ max_depth = {DEPTHS}, min_samples_leaf = {LEAVES}, criterion = ["gini", "entropy"] }}
"""


def plain_script(shared: Path) -> tuple[float, float]:
    """Seconds of the plain script: its work, and the whole process with its imports."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(Path(__file__).parent / "plain.py"), str(shared / "data" / "penguins.csv"), folder],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return float(done.stdout), time.perf_counter() - began


def chain(stack: Running) -> dict[str, Any]:
    """The built-in data set, and the script, in turns; the first round warms up and is not counted."""
    ours, work, whole = [], [], []
    for _ in range(ROUNDS + 1):
        ours.append(asyncio.run(stack.time_run("penguins", MODELS)))
        seconds, process = plain_script(stack.shared)
        work.append(seconds)
        whole.append(process)
    served, script = statistics.median(ours[1:]), statistics.median(work[1:])
    allowed = 1.25 * script + 0.5
    return {
        "rounds": ROUNDS,
        "request_to_served_s": round(served, 3),
        "each_s": [round(seconds, 3) for seconds in ours[1:]],
        "plain_script_s": round(script, 3),
        "plain_script_with_imports_s": round(statistics.median(whole[1:]), 3),
        "mark": "<= 1.25 x the script, imports not counted, + 0.5 s",
        "allowed_s": round(allowed, 3),
        "met": served <= allowed,
    }


def add_grid(stack: Running) -> None:
    """Drops the data set with the large grid into a running stack, and waits until its first model is served."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(GRID_ROWS, GRID_COLUMNS)).round(4)
    kind = np.array(["a", "b", "c"])[np.digitize(matrix[:, 0] * matrix[:, 1] + rng.normal(size=GRID_ROWS), [-0.5, 0.5])]
    frame = pd.DataFrame(matrix, columns=[f"x{number}" for number in range(GRID_COLUMNS)]).assign(kind=kind)
    frame.to_csv(stack.shared / "data" / "grid.csv", index=False)
    fresh = stack.shared / "datasets" / ".grid.toml"
    fresh.write_text(GRID_SPEC)
    fresh.rename(fresh.with_name("grid.toml"))
    stack.wait_served("grid.tree")


def grid(one: Running, two: Running) -> dict[str, Any]:
    """The large grid on both stacks in turns, from the preprocessed rows to the served model."""
    took: dict[Running, list[float]] = {one: [], two: []}
    for stack in took:
        add_grid(stack)
    for _ in range(GRID_ROUNDS):
        for stack, seconds in took.items():
            seconds.append(asyncio.run(stack.time_run("grid", ("grid.tree",), stage="train")))
    alone, together = (statistics.median(took[stack]) for stack in (one, two))
    return {
        "candidates": len(DEPTHS) * len(LEAVES) * 2,
        "rows": GRID_ROWS,
        "rounds": GRID_ROUNDS,
        "one_process_s": round(alone, 2),
        "two_processes_s": round(together, 2),
        "each_s": {"one": [round(s, 2) for s in took[one]], "two": [round(s, 2) for s in took[two]]},
        "speedup": round(alone / together, 2),
        "mark": ">= 1.7x",
        "met": alone / together >= 1.7,
    }


def watched(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a part found, with the machine's load before and after it."""
    before = os.getloadavg()
    found = work()
    return found | {"load_1_5_15_min": {"before": before, "after": os.getloadavg()}}


def main() -> None:
    """Measures, prints and writes; the stacks are ended also where this is."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load_1_min": round(os.getloadavg()[0], 2),
    }
    with running_stack(2) as two:
        chained = watched(lambda: chain(two))
        with running_stack(1) as one:
            gridded = watched(lambda: grid(one, two))
    result = {"chain": chained, "grid": gridded, "machine": machine, "measured_on": time.strftime("%Y-%m-%d")}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    lines = [
        ("request to served, three models, warm", f"{chained['request_to_served_s']:.2f} s", chained),
        ("  the same fits in one plain script", f"{chained['plain_script_s']:.2f} s", None),
        ("  its whole process, with imports", f"{chained['plain_script_with_imports_s']:.2f} s", None),
        ("grid of 200 on 20,000 rows, one process", f"{gridded['one_process_s']:.1f} s", None),
        ("grid of 200 on 20,000 rows, two", f"{gridded['two_processes_s']:.1f} s, {gridded['speedup']}x", gridded),
    ]
    print(f"{machine['cores']} cores, load {chained['load_1_5_15_min']['before'][0]:.1f} at the start")
    for name, figure, part in lines:
        verdict = f"{part['mark']}: {'met' if part['met'] else 'MISSED'}" if part else ""
        print(f"{name:<42} {figure:<16} {verdict}")


if __name__ == "__main__":
    main()
