"""Requests to the prediction API that are wrong: on the wire, in their JSON, in their records."""

import json
import random
from collections.abc import Callable
from typing import Any

GOOD: dict[str, Any] = {
    "bill_length_mm": 39.1, "bill_depth_mm": 18.7, "flipper_length_mm": 181, "body_mass_g": 3750, "island": "Biscoe",
    "sex": "male",
}  # fmt: skip
Make = Callable[[random.Random], bytes]


def post(body: bytes, *, headers: str = "", kind: str = "application/json", path: str = "/predict") -> bytes:
    """A request with a body."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n{headers}\r\n"
    ).encode() + body


def _records(*found: Any) -> Make:
    return lambda _source: post(json.dumps({"records": list(found)}).encode())


def _field(name: str, value: Any) -> Make:
    """A record with one wrong field."""
    return _records({**GOOD, name: value})


def _raw_number(token: str) -> Make:
    """A record with something for a number that JSON does not know."""
    text = json.dumps({"records": [GOOD]}).replace("39.1", token)
    return lambda _source: post(text.encode())


def _body(content: bytes) -> Make:
    return lambda _source: post(content)


def _cut(source: random.Random) -> bytes:
    whole = json.dumps({"records": [GOOD]}).encode()
    return post(whole[: source.randrange(1, len(whole))])


def _noise(source: random.Random) -> bytes:
    return post(source.randbytes(source.randrange(1, 300)))


def _line_noise(source: random.Random) -> bytes:
    return source.randbytes(source.randrange(1, 300)) + b"\r\n\r\n"


KINDS: dict[str, Make] = {
    "empty body": _body(b""),
    "open brace": _body(b"{"),
    "bad UTF-8": _body(b'{"records": [{"island": "\xff\xfe"}]}'),
    "integer of 5,000 digits": _raw_number("9" * 5000),
    "20,000 brackets": _body(b"[" * 20_000),
    "20,000 objects": _body(b'{"records":' * 20_000),
    "NaN": _raw_number("NaN"),
    "Infinity": _raw_number("Infinity"),
    "-Infinity": _raw_number("-Infinity"),
    "1e999": _raw_number("1e999"),
    "true for a number": _field("bill_length_mm", value=True),
    "text for a number": _field("bill_length_mm", "39.1"),
    "null for a number": _field("bill_length_mm", None),
    "list for a number": _field("bill_length_mm", [39.1]),
    "number for a category": _field("island", 3),
    "unknown category": _field("island", "Atlantis"),
    "null for a category": _field("sex", None),
    "object for a category": _field("sex", {"is": "male"}),
    "no records": _records(),
    "record is a number": _records(5),
    "record is null": _records(None),
    "record is a list": _records([1, 2, 3]),
    "record is empty": _records({}),
    "one good, one wrong": _records(GOOD, {**GOOD, "island": "x" * 10_000}),
    "records is an object": _body(b'{"records": {}}'),
    "records is text": _body(b'{"records": "all"}'),
    "records is missing": _body(b'{"rows": []}'),
    "body is a list of nothing": _body(b"[]"),
    "body is null": _body(b"null"),
    "body is a number": _body(b"12"),
    "body is text": _body(b'"x"'),
    "cut body": _cut,
    "noise for a body": _noise,
    "noise on the wire": _line_noise,
    "unknown charset": lambda _: post(b"{}", kind="application/json; charset=klingon"),
    "wrong kind": lambda _: post(json.dumps({"records": [GOOD]}).encode(), kind="application/x-www-form-urlencoded"),
    "bad gzip": lambda _: post(b"\x1f\x8bnot gzip", headers="Content-Encoding: gzip\r\n"),
    "unknown encoding": lambda _: post(b"{}", headers="Content-Encoding: snappy\r\n"),
    "upgrade": lambda _: post(b"{", headers="Upgrade: websocket\r\nConnection: Upgrade\r\n"),
    "negative length": lambda _: b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    "two lengths": lambda _: b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length of letters": lambda _: b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n{}",
    "length and chunks": lambda _: (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    ),
    "bad chunk": lambda _: b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "no such model": lambda _: post(json.dumps({"records": [GOOD]}).encode(), path="/predict?model=nope"),
    "no such version": lambda _: post(json.dumps({"records": [GOOD]}).encode(), path="/predict?model=random_forest@99"),
    "path for a model": lambda _: post(b"{}", path="/predict?model=../../etc/passwd"),
    "no such path": lambda _: post(b"{}", path="/nothing/../here"),
    "wrong method": lambda _: b"DELETE /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "odd method": lambda _: b"BREW /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "no such protocol": lambda _: b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "long line": lambda _: b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long header": lambda _: b"GET /nothing HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
    "many headers": lambda _: b"GET /nothing HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 5_000 + b"\r\n",
    "header without colon": lambda _: b"GET /nothing HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "NUL in a header": lambda _: b"GET /nothing HTTP/1.1\r\nHost: x\r\nX-A: \x00\r\n\r\n",
}


def malformed(number: int, source: random.Random) -> tuple[str, bytes]:
    """The request of that number, each kind in turn, and the kind's name."""
    name = list(KINDS)[number % len(KINDS)]
    return name, KINDS[name](source)
