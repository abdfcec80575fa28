"""Malformed requests by the hundred, good ones between: never a 5xx, never a hang, never an answer to nonsense."""

import asyncio
import json
import os
import random
from collections import Counter
from typing import Any

import psutil
import pytest

from services.inference import streams
from services.inference.web import bodies
from tests.integration.inference.conftest import Api
from tests.integration.inference.test_predict import PENGUIN

# FUZZ_REQUESTS=2000 is the run that docs/serving.md reports.
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "300"))
HEAD = "POST /predict{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
VALUES = [
    None,
    True,
    False,
    [],
    {},
    "",
    "x",
    "NaN",
    -1e308,
    1e308,
    10**30,
    [[1]],
    {"a": 1},
    "\ud800".encode("utf-8", "replace").decode(),
]
QUERIES = [
    "",
    "?model=nope",
    "?model=",
    "?model=svc@99",
    "?model=%ff",
    "?model=a&model=b",
    "?" + "a=1&" * 200,
    "?model=../../etc",
]
PATHS = ["/predict", "/predict/compare", "/v2/models/svc/infer", "/models", "/v2/models/..%2F/infer", "/static/%2e%2e"]


def malformed(chance: random.Random) -> bytes:
    """A request that has something wrong with it."""
    record: dict[str, Any] = dict(PENGUIN)
    field = chance.choice([*PENGUIN])
    kind = chance.randrange(8)
    if kind == 0:
        record[field] = chance.choice(VALUES)
    elif kind == 1:
        del record[field]
    body = json.dumps({"records": [record] * chance.randrange(1, 3)})
    if kind == 2:
        body = body[: chance.randrange(len(body))]
    elif kind == 3:
        at = chance.randrange(len(body))
        body = body[:at] + chance.choice(["\x00", "NaN", "[" * 3000, '"', "1e999", "9" * 5000]) + body[at:]
    elif kind == 4:
        body = json.dumps(chance.choice([[], {}, None, 3, "x", {"records": None}, {"records": []}, {"inputs": [{}]}]))
    raw = body.encode("utf-8", "surrogatepass")
    if kind == 5:
        at = chance.randrange(len(raw))
        raw = raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]
    headers = {"Content-Type": "application/json", "Content-Length": str(len(raw))}
    if kind == 6:
        name, value = chance.choice(
            [
                ("Content-Type", "text/plain"),
                ("Content-Type", "application/json; charset=utf-32"),
                ("Content-Type", "text/csv"),
                ("Content-Type", "application/x-ndjson"),
                ("Content-Encoding", "gzip"),
                ("Content-Encoding", "br"),
                ("Content-Length", "-1"),
                ("Content-Length", str(len(raw) + 50)),
                ("Upgrade", "websocket"),
                ("Transfer-Encoding", "chunked"),
                ("Expect", "100-continue"),
                ("Inference-Header-Content-Length", "5"),
            ]
        )
        headers[name] = value
    path = chance.choice(PATHS) if kind == 7 else "/predict"
    query = chance.choice(QUERIES) if kind == 7 else ""
    head = HEAD.replace("/predict", path).format(query=query)
    return (head + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode() + raw


async def status_of(api: Api, sent: bytes) -> int:
    """The status of what comes back; 0 where the connection ended without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(20):
            line = await reader.readline()
            if line.startswith(b"HTTP/1.1 100"):
                await reader.readline()
                line = await reader.readline()
            await reader.read()
    finally:
        writer.close()
    return int(line.split()[1]) if line else 0


async def test_malformed_requests(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is a 5xx, the good requests between are all answered right, and memory does not grow."""
    # Bodies shorter than they say are waited for this long.
    monkeypatch.setattr(bodies, "BODY_GRACE_S", 0.2)
    monkeypatch.setattr(streams, "BODY_GRACE_S", 0.2)
    chance = random.Random(7)  # noqa: S311 - the same requests in every run
    process = psutil.Process()
    before = process.memory_info().rss
    statuses: Counter[int] = Counter()
    for _ in range(REQUESTS // 20):
        sent = [malformed(chance) for _ in range(20)]
        found = await asyncio.gather(*(status_of(api, one) for one in sent))
        assert not [one for one, status in zip(sent, found, strict=True) if status >= 500]
        statuses.update(found)
        status, answer = await api.post("/predict", {"records": [PENGUIN]})
        assert (status, answer["predictions"]) == (200, ["Adelie"])
    assert sum(count for status, count in statuses.items() if 400 <= status < 500) > REQUESTS / 3, statuses
    assert process.memory_info().rss - before < 30 * 2**20


async def test_nonsense_is_never_answered(api: Api) -> None:
    """Of records with a wrong value in a field, none gets a prediction."""
    for field in PENGUIN:
        wrong: list[Any] = [None, True, False, [], {}, [1], ""]
        wrong += ["39.1"] if isinstance(PENGUIN[field], str) is False else [1, 1.5]
        for value in wrong:
            status, problem = await api.post("/predict", {"records": [{**PENGUIN, field: value}]})
            assert (status, problem["field"]) == (422, field), (field, value)
