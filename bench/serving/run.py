"""`make bench-serving`: Rookery against the naive service and the bare handler, in one run, answers checked."""

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from bench.serving import load
from bench.serving.goals import verdicts
from tests.bundles import CLASSES, FAMILIES, KEY, Folder, Trained, records, train

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "bench" / "results" / "serving.json"
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CORES = os.cpu_count() or 1
SERVER_CORE, LOAD_CORE = (0, 1) if CORES > 1 else (None, None)
CONNECTIONS = 32
NAIVE, BARE, ROOKERY, CONSTANT = 18801, 18802, 18803, 18804


@contextmanager
def server(
    command: list[str], port: int, environment: Mapping[str, str], path: str, core: int | None = SERVER_CORE
) -> Iterator[subprocess.Popen[bytes]]:
    """A contender, pinned to a core, once it answers."""
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    child = subprocess.Popen(
        [*pinned, *command], env={**os.environ, **environment}, cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not answers(port, path):
            assert child.poll() is None, f"{command} ended"
            assert time.monotonic() < deadline, f"{command} does not answer"
            time.sleep(0.005)
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=30)


def answers(port: int, path: str) -> bool:
    """Whether a server is there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return bool(response.status < 500)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def post(port: int, path: str, body: bytes) -> Any:
    """The document of an answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310 - likewise
        return json.load(response)


def wrong(port: int, fitted: Trained, family: str) -> int:
    """How many of the records, sent alone, get another label than the pipeline gives."""
    found = [
        post(port, f"/predict?model={family}", json.dumps({"records": [record]}).encode())["predictions"][0]
        for record in records(fitted.frame)
    ]
    return sum(mine != right for mine, right in zip(found, fitted.labels, strict=True))


Target = tuple[int, str]


def rates(
    targets: Mapping[str, Target], body: bytes, pids: Mapping[int, int], *, rounds: int = ROUNDS
) -> dict[str, dict[str, float]]:
    """Requests a second of each target, the median of several rounds; in each round all targets have their turn.

    `cpu_us` is the server's processor time per request: it says the same on a machine that others use too.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in targets}
    for _ in range(rounds):
        for name, (port, path) in targets.items():
            before = cpu_s(pids[port])
            url = f"http://127.0.0.1:{port}{path}"
            run = load.load(url, body, connections=CONNECTIONS, seconds=SECONDS, core=LOAD_CORE)
            assert not run.failed, f"{path}: some answers were not 2xx"
            found[name].append((run.per_s, (cpu_s(pids[port]) - before) / run.requests * 1e6))
    return {
        name: {
            "per_s": round(statistics.median(per_s for per_s, _ in runs), 1),
            "cpu_us": round(statistics.median(cpu_us for _, cpu_us in runs), 1),
        }
        for name, runs in found.items()
    }


def generator(body: bytes) -> dict[str, Any]:
    """How fast the load generator is: on a server that does nothing, and on the bare handler beside the other one."""
    names = [load.chosen(), *({"wrk", "own"} - {load.chosen()} if load.installed() else ())]
    found: dict[str, Any] = {"name": names[0]}
    with server([sys.executable, str(HERE / "constant.py")], CONSTANT, {"BENCH_PORT": str(CONSTANT)}, "/"):
        for name in names:
            runs = [
                [_run(name, port, body) for port in (CONSTANT, BARE)] for _ in range(ROUNDS)
            ]  # in turns, as everything
            found[name] = {
                "constant_per_s": round(statistics.median(run.per_s for run, _ in runs), 1),
                "bare_per_s": round(statistics.median(run.per_s for _, run in runs), 1),
                "busy_on_bare": round(statistics.median(run.busy for _, run in runs), 2),
            }
    return found


def _run(name: str, port: int, body: bytes) -> load.Load:
    url = f"http://127.0.0.1:{port}/predict"
    return load.load(url, body, connections=CONNECTIONS, seconds=SECONDS, core=LOAD_CORE, generator=name)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def one_connection(targets: Mapping[str, Target], body: bytes) -> dict[str, float]:
    """p50 in ms of one connection to each target; in each round all have their turn."""
    found: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(ROUNDS):
        for name, (port, path) in targets.items():
            url = f"http://127.0.0.1:{port}{path}"
            found[name].append(load.load(url, body, connections=1, seconds=SECONDS, core=LOAD_CORE).p50_ms)
    return {name: statistics.median(runs) for name, runs in found.items()}


def paced(rate: float, body: bytes) -> dict[str, float]:
    """p99 in ms at a given rate, of the bare handler and of Rookery in turn."""
    ports = {"bare_p99_ms": BARE, "rookery_p99_ms": ROOKERY}
    runs = [
        {name: load.paced(port, body, rate=rate, seconds=SECONDS) for name, port in ports.items()}
        for _ in range(ROUNDS)
    ]
    return {"rate_per_s": rate} | {name: statistics.median(run[name] for run in runs) for name in ports}


def beside_large(body: bytes, large: bytes) -> dict[str, float]:
    """p99 in ms of single records, with none and with a request of 50,000 always under way, in turn."""
    without, beside = [], []
    for _ in range(ROUNDS):
        without.append(_single_p99(body))
        stop = threading.Event()
        asking = threading.Thread(target=_keep_asking, args=(large, stop))
        asking.start()
        try:
            beside.append(_single_p99(body))
        finally:
            stop.set()
            asking.join()
    return {"p99_ms_without": statistics.median(without), "p99_ms_beside": statistics.median(beside)}


def _single_p99(body: bytes) -> float:
    url = f"http://127.0.0.1:{ROOKERY}/predict"
    return load.load(url, body, connections=4, seconds=max(SECONDS, 2), core=LOAD_CORE).p99_ms


def _keep_asking(large: bytes, stop: threading.Event) -> None:
    while not stop.is_set():
        post(ROOKERY, "/predict", large)


def memory_mb(pid: int) -> float:
    """RSS of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def first_prediction_s(command: list[str], environment: Mapping[str, str], body: bytes) -> float:
    """Seconds from the start of the process to its first prediction."""
    begun = time.monotonic()
    child = subprocess.Popen(command, env={**os.environ, **environment}, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                post(ROOKERY, "/predict", body)
            except OSError:
                assert time.monotonic() - begun < 30, "no first prediction"
                time.sleep(0.005)
            else:
                return time.monotonic() - begun
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=30)


def measure(shared: Path, trained: Mapping[str, Trained]) -> dict[str, Any]:
    """All figures."""
    rows = records(trained["random_forest"].frame)
    one = json.dumps({"records": rows[:1]}).encode()
    hundred = json.dumps({"records": (rows * 2)[:100]}).encode()
    large = json.dumps({"records": (rows * 151)[:50_000]}).encode()
    python = sys.executable
    rookery = [python, "-m", "services.inference.main"]
    ours = {"SHARED_DIR": str(shared), "ROOKERY_SIGNING_KEY": KEY.decode(), "INFERENCE_PORT": str(ROOKERY)}
    figures: dict[str, Any] = {}
    site = os.environ.get("BENCH_SITE", "")
    naive = {"BENCH_MODELS": str(shared / "models"), "BENCH_PORT": str(NAIVE), "PYTHONPATH": f"{ROOT}:{site}"}
    figures["first_prediction_s"] = statistics.median(first_prediction_s(rookery, ours, one) for _ in range(ROUNDS))
    with (
        server([python, str(HERE / "naive.py")], NAIVE, naive, "/docs") as old,
        server([python, str(HERE / "bare.py")], BARE, {"BENCH_PORT": str(BARE)}, "/") as bare,
        server(rookery, ROOKERY, ours, "/ready") as child,
    ):
        pids = {NAIVE: old.pid, BARE: bare.pid, ROOKERY: child.pid}
        targets = {"bare": (BARE, "/predict")}
        targets |= {family: (ROOKERY, f"/predict?model={family}") for family in FAMILIES}
        olds = {f"naive {family}": (NAIVE, f"/predict?model={family}") for family in FAMILIES}
        figures["generator"] = generator(one)
        figures["1"] = rates(targets | olds | {"compare": (ROOKERY, "/predict/compare")}, one, pids)
        figures["100"] = rates(targets | olds, hundred, pids)
        figures["wrong_of_333"] = {
            name: {family: wrong(port, trained[family], family) for family in FAMILIES}
            for name, port in (("naive", NAIVE), ("rookery", ROOKERY))
        }
        figures["p50_ms"] = one_connection(targets, one)
        figures["paced"] = paced(figures["1"]["random_forest"]["per_s"] / 2, one)
        assert post(ROOKERY, "/predict", large)["predictions"] == (trained["random_forest"].labels * 151)[:50_000]
        figures["large"] = beside_large(one, large)
        figures["rss_mb"] = memory_mb(child.pid)
    if CORES > 2:
        with server(rookery, ROOKERY, ours | {"INFERENCE_WORKERS": "2"}, "/ready", core=None):
            pids = {ROOKERY: os.getpid()}  # the children's time is not ours to know
            figures["two_processes"] = rates({"random_forest": (ROOKERY, "/predict")}, one, pids)
    return figures


def main() -> None:
    """Measures, prints the table, writes the results."""
    print(f"load generator: {load.chosen()}")
    trained = {family: train(family, make) for family, make in FAMILIES.items()}
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder)
        models = Folder(shared / "models")
        for fitted in trained.values():
            models.publish(fitted)
        figures = measure(shared, trained)
    table = list(verdicts(figures, CORES))
    width = max(len(what) for what, *_ in table)
    for what, figure, goal, met in table:
        print(f"{what:<{width}}  {figure:>24}  {goal:>8}  {'-' if met is None else 'met' if met else 'NOT MET'}")
    wrong_naive = figures["wrong_of_333"]["naive"]
    print(f"the naive service's wrong answers of 333, one record at a time: {wrong_naive}")
    surroundings = {
        "cores": CORES,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "seconds": SECONDS,
        "rounds": ROUNDS,
        "classes": list(CLASSES),
        **{name: version(name) for name in ("aiohttp", "uvloop", "msgspec", "numpy", "scikit-learn")},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    goals = [{"what": what, "figure": figure, "goal": goal, "met": met} for what, figure, goal, met in table]
    RESULTS.write_text(json.dumps({"surroundings": surroundings, "figures": figures, "goals": goals}, indent=2) + "\n")


if __name__ == "__main__":
    main()
