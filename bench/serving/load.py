"""Load: wrk, else `own.py`, for the highest rate and the latency of one connection; a paced client for a given rate."""

import asyncio
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import cast

import uvloop

ROOT = Path(__file__).parents[2]
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """What a run found. `busy`: the generator's processor time in cores; at 1 it is the bottleneck itself."""

    per_s: float
    requests: int
    p50_ms: float
    p99_ms: float
    failed: int
    busy: float


def load(
    url: str, body: bytes, *, connections: int, seconds: float, core: int | None, generator: str | None = None
) -> Load:
    """A run of a generator, by default the one that `chosen` says, pinned to a core."""
    measure = wrk if (generator or chosen()) == "wrk" else own
    return measure(url, body, connections=connections, seconds=seconds, core=core)


def chosen() -> str:
    """`wrk` where it is installed, else `own`; BENCH_GENERATOR decides otherwise."""
    return os.environ.get("BENCH_GENERATOR") or ("wrk" if installed() else "own")


def installed() -> bool:
    """Whether wrk is there."""
    return shutil.which("wrk") is not None


def own(url: str, body: bytes, *, connections: int, seconds: float, core: int | None) -> Load:
    """A run of the generator of this bench."""
    command = [*_pinned(core), sys.executable, "-m", "bench.serving.own", url, str(connections), str(seconds)]
    found = subprocess.run(command, input=body, capture_output=True, check=True, cwd=ROOT).stdout
    return Load(**json.loads(found))


def wrk(url: str, body: bytes, *, connections: int, seconds: float, core: int | None) -> Load:
    """A run of wrk."""
    used = _children_s()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f"wrk.body = [==[{body.decode()}]==]\n"
        )
        script.flush()
        command = [
            *_pinned(core),
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--latency",
            "-s",
            script.name,
            url,
        ]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", found)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", found)
    errors = re.search(r"Socket errors: .*", found)
    assert rate is not None, found
    assert errors is None, found
    requests = re.search(r"(\d+) requests in", found)
    assert requests is not None, found
    return Load(
        float(rate[1]),
        int(requests[1]),
        _percentile(found, "50"),
        _percentile(found, "99"),
        int(failed[1]) if failed else 0,
        (_children_s() - used) / seconds,
    )


def _pinned(core: int | None) -> list[str]:
    return ["taskset", "-c", str(core)] if core is not None else []


def _children_s() -> float:
    """Processor time of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _percentile(found: str, name: str) -> float:
    match = re.search(rf"\s{name}%\s+([\d.]+)(us|ms|s)", found)
    assert match is not None, found
    return float(match[1]) * _UNITS_MS[match[2]]


def paced(port: int, body: bytes, *, rate: float, seconds: float, connections: int = 32) -> float:
    """p99 in ms of requests that start at fixed times, whether or not those before are answered."""
    return uvloop.run(_paced(port, body, rate, seconds, connections))


async def _paced(port: int, body: bytes, rate: float, seconds: float, connections: int) -> float:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    clients = [_Client() for _ in range(connections)]
    loop = asyncio.get_running_loop()
    for client in clients:
        await loop.create_connection(partial(_itself, client), "127.0.0.1", port)
    idle = list(clients)
    latencies: list[float] = []
    begun = perf_counter()
    sent = 0
    total = int(rate * seconds)
    while sent < total:
        due = int((perf_counter() - begun) * rate)
        while sent < min(due, total):
            start = begun + sent / rate
            while not idle:  # noqa: ASYNC110 - a client that spins is on time
                await asyncio.sleep(0)
            idle.pop().send(head + body, start, latencies, idle)
            sent += 1
        await asyncio.sleep(0)
    while len(idle) < len(clients):  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0)
    for client in clients:
        client.close()
    return statistics.quantiles(latencies, n=100)[98] * 1000


def _itself(client: "_Client") -> "_Client":
    """What makes the protocol of a connection."""
    return client


class _Client(asyncio.Protocol):
    """One connection; an answer is taken to be complete when its last brace arrives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, start: float, latencies: list[float], idle: list["_Client"]) -> None:
        self._start, self._latencies, self._idle = start, latencies, idle
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):
            self._latencies.append(perf_counter() - self._start)
            self._idle.append(self)

    def close(self) -> None:
        self._transport.close()
