"""The guard at the queues, and the settings that keep workers alive."""

import base64
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from kombu.transport import virtual

from common.events.broker import GuardedChannel, make_app, make_queue, objection
from common.events.topology import SERVICES, SUBSCRIPTIONS
from common.settings import Settings

SETTINGS = Settings(redis_url="redis://127.0.0.1:1/0")


def message(**changes: Any) -> dict[str, Any]:
    """A message as Celery puts it on the wire."""
    return {
        "body": base64.b64encode(b'[[], {"event": {}}, {}]').decode(),
        "headers": {"task": "ingest.requested", "id": "6f2d1c0e-9b7a-4b8e-8a55-5a3f0c7de9b1"},
        "properties": {"delivery_tag": "t", "delivery_info": {}, "body_encoding": "base64"},
        "content-type": "application/json",
        "content-encoding": "utf-8",
    } | changes


def test_an_event_passes_the_guard() -> None:
    """A valid message of the service's own events is let through."""
    assert objection(msgspec.json.encode(message()), "rookery.ingest") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"body": "not base64!"},
        {"body": base64.b64encode(b"{}").decode()},
        {"body": base64.b64encode(b"[1, 2, 3]").decode()},
        {"body": base64.b64encode(b"\xff").decode()},
        {"headers": {"task": "os.system", "id": "6f2d1c0e-9b7a-4b8e-8a55-5a3f0c7de9b1"}},
        {"headers": {"task": "dataset.ingested", "id": "6f2d1c0e-9b7a-4b8e-8a55-5a3f0c7de9b1"}},
        {"headers": {"task": "ingest.requested", "id": "no uuid"}},
        {"headers": None},
        {"properties": {}},
        {"content-type": "application/x-python-serialize"},
    ],
)
def test_the_guard_says_why(changes: dict[str, Any]) -> None:
    """Each kind of damage has a reason."""
    assert objection(msgspec.json.encode(message(**changes)), "rookery.ingest")


@given(raw=st.binary(max_size=300))
def test_no_bytes_break_the_guard(raw: bytes) -> None:
    """Whatever stands in a queue, the guard answers."""
    assert objection(raw, "rookery.ingest")


class AwayChannel:
    """A channel whose Redis does not answer."""

    connection_errors = (redis.RedisError,)
    do_restore = False

    def conn_or_acquire(self, _client: Any = None) -> Any:
        """Times out."""
        raise redis.TimeoutError


def test_an_acknowledgement_that_redis_did_not_hear_frees_the_place() -> None:
    """A worker that may hold one message takes the next one, be the connection of the last one half-open."""
    made: Any = GuardedChannel.QoS
    qos = made(AwayChannel(), prefetch_count=1)
    append: Any = virtual.QoS.append
    append(qos, "a message", "tag")
    assert not qos.can_consume()
    qos.ack("tag")
    assert qos.can_consume()


@pytest.mark.parametrize("service", SERVICES)
def test_a_queue_is_bound_by_literal_names(service: str) -> None:
    """Binding keys hold no wildcard, whose meaning differs between versions of kombu, and each has one queue."""
    keys = [one.routing_key for one in make_queue(service).bindings]
    assert sorted(keys) == sorted(kind for kind, handler in SUBSCRIPTIONS.items() if handler == service)
    assert not any(mark in key for key in keys for mark in "*#")


def test_a_worker_never_gives_up_on_redis() -> None:
    """The settings that decide whether a worker outlives Redis are as docs/decisions.md says."""
    conf = make_app(SETTINGS, "test", consumes="ingest").conf
    assert conf.broker_connection_max_retries is None
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_acks_late is True
    assert conf.accept_content == ["json"]
    assert conf.broker_transport_options["health_check_interval"]
