"""Entries for a queue that are no events: of many kinds, from a seeded source."""

import base64
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec


def _envelope(**changes: Any) -> dict[str, Any]:
    """A message as Celery writes it, with parts changed."""
    whole: dict[str, Any] = {
        "body": base64.b64encode(b"[[], {}, {}]").decode(),
        "headers": {"task": "ingest.requested", "id": "6f2d1c0e-9b7a-4b8e-8a55-5a3f0c7de9b1"},
        "properties": {"delivery_tag": "t", "delivery_info": {}, "body_encoding": "base64"},
        "content-type": "application/json",
        "content-encoding": "utf-8",
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def _encoded(**changes: Any) -> bytes:
    return msgspec.json.encode(_envelope(**changes))


KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    lambda _: b"",
    lambda source: source.randbytes(source.randrange(1, 200)),
    lambda _: b"{}",
    lambda _: b"[]",
    lambda _: b"null",
    lambda _: b"true",
    lambda _: b"1e999",
    lambda _: b"NaN",
    lambda _: b'"text"',
    lambda _: b'{"body": "x"}',
    lambda source: b"[" * source.randrange(1, 20_000),
    lambda source: b'{"a":' * source.randrange(1, 20_000),
    lambda source: b"9" * source.randrange(1, 6_000),
    lambda _: b"\xff\xfe{}",
    lambda _: b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    lambda _: _encoded(body="not base64!"),
    lambda _: _encoded(body=base64.b64encode(b"{").decode()),
    lambda _: _encoded(body=base64.b64encode(b"[]").decode()),
    lambda _: _encoded(body=base64.b64encode(b"[1, 2, 3]").decode()),
    lambda _: _encoded(body=None),
    lambda _: _encoded(body=7),
    lambda _: _encoded(headers=None),
    lambda _: _encoded(headers={}),
    lambda _: _encoded(headers={"task": "os.system", "id": "6f2d1c0e-9b7a-4b8e-8a55-5a3f0c7de9b1"}),
    lambda _: _encoded(headers={"task": "ingest.requested", "id": "no id"}),
    lambda _: _encoded(headers={"task": 5, "id": None}),
    lambda source: _encoded(headers={"task": "run.completed", "id": str(UUID(int=source.getrandbits(128)))}),
    lambda _: _encoded(properties=None),
    lambda _: _encoded(properties={"delivery_tag": None, "delivery_info": {}, "body_encoding": "base64"}),
    lambda _: _encoded(properties={"delivery_tag": "t", "delivery_info": [], "body_encoding": "base64"}),
    lambda _: _encoded(properties={"delivery_tag": "t", "delivery_info": {}, "body_encoding": "rot13"}),
    lambda _: _encoded(**{"content-type": "application/x-python-serialize"}),
    lambda _: _encoded(**{"content-encoding": None}),
    lambda source: _encoded()[: source.randrange(1, 150)],
)


def garbage(source: random.Random, number: int) -> bytes:
    """The piece of that number: each kind in turn."""
    return KINDS[number % len(KINDS)](source)
