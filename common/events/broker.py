"""The Celery app of a process, and the guard at its queues.

The settings follow from what is known to break on Redis; the reasons stand beside them and in docs/decisions.md.
"""

import base64
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from celery import Celery
from kombu.entity import Exchange, Queue, binding
from kombu.transport import redis as kombu_redis

from common.events.model import EVENT_TYPES
from common.events.topology import EXCHANGE, PARKED, SERVICES, SUBSCRIPTIONS, queue_name
from common.logs import get_logger
from common.settings import Settings

log = get_logger(__name__)

PARKED_LENGTH = 10_000
# What workers answer when somebody inspects them, as Flower does, comes by other queues and is no event.
_EVENT_QUEUES = {queue_name(service) for service in SERVICES}
_SOCKET = {
    # A half-open connection is noticed; without these a worker lives on and consumes nothing. Several connections are
    # found to be silent one after the other, so each must be found soon.
    "socket_timeout": 3.0,
    "socket_connect_timeout": 3.0,
    "socket_keepalive": True,
    "health_check_interval": 3,
    # A message that a dead worker held comes back by the sweep; the transport's own way would only send it twice.
    "visibility_timeout": 7 * 86_400,
}


class _Envelope(msgspec.Struct):
    """The parts of a message on the wire that a worker relies on."""

    class Headers(msgspec.Struct):
        """Celery's, protocol 2 (https://docs.celeryq.dev/en/stable/internals/protocol.html)."""

        task: str
        id: UUID

    class Properties(msgspec.Struct):
        """Kombu's."""

        delivery_tag: str
        delivery_info: dict[str, Any]
        body_encoding: str

    body: str
    headers: Headers
    properties: Properties
    content_type: str = msgspec.field(name="content-type")
    content_encoding: str = msgspec.field(name="content-encoding")


def objection(raw: bytes, queue: str) -> str | None:
    """Why an entry of a queue is no event that its service could handle; None where it is one."""
    try:
        envelope = msgspec.json.decode(raw, type=_Envelope)
        body = msgspec.json.decode(base64.b64decode(envelope.body, validate=True))
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        return f"it is no message of an event: {error}"
    if envelope.headers.task not in EVENT_TYPES or queue_name(SUBSCRIPTIONS.get(envelope.headers.task, "")) != queue:
        return f"{envelope.headers.task!r} is no event that {queue} handles"
    if envelope.content_type != "application/json" or envelope.properties.body_encoding != "base64":
        return f"its content is {envelope.content_type!r}, expected application/json in base64"
    is_call = isinstance(body, list) and len(body) == 3 and isinstance(body[0], list) and isinstance(body[1], dict)  # noqa: PLR2004 - arguments, keywords, options
    return None if is_call else "its body is no list of arguments, keywords and options"


class GuardedQoS(kombu_redis.QoS):
    """Gives a message's place free when it is done, whether or not Redis heard of it.

    Kombu's own keeps the place where the acknowledgement failed, and Celery only logs that: a worker that may hold one
    message lived on and took no other (met with half-open connections). A message that Redis still counts as held does
    no harm: its event is handled.
    """

    def ack(self, delivery_tag: str) -> None:
        """Tells Redis, once more on a new connection where the old one has died, and frees the place."""
        try:
            for last in (False, True):
                try:
                    self._remove_from_indices(delivery_tag).execute()  # type: ignore[no-untyped-call] # of kombu
                    break
                except self.channel.connection_errors as error:
                    if last:
                        log.warning("acknowledgement lost", error=str(error))
        finally:
            self._quick_ack(delivery_tag)


class GuardedChannel(kombu_redis.Channel):
    """Parks what is no valid event, with its bytes and the reason, instead of letting it kill the worker."""

    QoS = GuardedQoS

    def _create_client(self, asynchronous: bool = False) -> Any:
        client: Any = super()._create_client(asynchronous=asynchronous)  # type: ignore[no-untyped-call] # of kombu
        if asynchronous:
            client.parse_response = self._guarded(client.parse_response)
        return client

    def queue_bind(
        self, queue: str, exchange: str = "", routing_key: str = "", arguments: Any = None, **options: Any
    ) -> None:
        """Binds in Redis each time; kombu's own does nothing where it bound once, be Redis emptied since."""
        if self.state.has_binding(queue, exchange, routing_key):
            kind: Any = self.typeof(exchange)  # type: ignore[no-untyped-call] # of kombu
            meta = kind.prepare_bind(queue, exchange, routing_key, arguments)
            self._queue_bind(exchange, *meta)  # type: ignore[no-untyped-call] # of kombu
        else:
            super().queue_bind(queue, exchange, routing_key, arguments, **options)  # type: ignore[no-untyped-call] # of kombu

    def _guarded(self, parse: Callable[..., Any]) -> Callable[..., Any]:
        """The client's way to read an answer, which reads none where a queue's entry is garbage."""

        def read(connection: Any, command: str, **options: Any) -> Any:
            answer = parse(connection, command, **options)
            if command != "BRPOP" or not answer:
                return answer
            name, raw = answer
            queue = name.decode(errors="replace").rsplit(self.sep, 1)[0]
            reason = objection(raw, queue) if queue in _EVENT_QUEUES else None
            if reason is None:
                return answer
            self._park(raw, queue, reason)
            return None

        return read

    def _park(self, raw: bytes, queue: str, reason: str) -> None:
        """Keeps an entry where a person finds it: `redis-cli LRANGE rookery:parked 0 4`."""
        entry = {"queue": queue, "reason": reason, "time": time.time(), "raw": base64.b64encode(raw).decode()}
        with self.conn_or_acquire() as client:
            client.lpush(PARKED, msgspec.json.encode(entry))
            client.ltrim(PARKED, 0, PARKED_LENGTH - 1)


class GuardedPoller(kombu_redis.MultiChannelPoller):
    """Gives up a channel's other connections too where the one it waits on has fallen silent: they went the same way.

    Otherwise the first message would be taken, and then wait for a reply on one of those until its time is out.
    """

    def maybe_check_brpop_health(self) -> None:
        """Called by kombu's timer."""
        waiting = [channel for channel in self._channels if channel._in_poll and channel._in_poll._sock]  # noqa: SLF001 - kombu's own names
        super().maybe_check_brpop_health()  # type: ignore[no-untyped-call] # of kombu
        for channel in waiting:
            silent = channel._in_poll is None or channel._in_poll._sock is None  # noqa: SLF001 - likewise
            if silent and channel._pool is not None:  # noqa: SLF001 - likewise
                channel._pool.disconnect(inuse_connections=False)  # noqa: SLF001 - likewise


class GuardedTransport(kombu_redis.Transport):
    """The Redis transport with guarded queues."""

    Channel = GuardedChannel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call] # of kombu
        poller: Any = GuardedPoller
        self.cycle = poller()


def make_queue(service: str, *event_types: str) -> Queue:
    """The queue of a service, bound to events by their literal names; wildcards differ between kombu's versions.

    Without `event_types`, bound to all that the service handles.
    """
    exchange = Exchange(EXCHANGE, type="topic", durable=True)
    keys = event_types or tuple(kind for kind, handler in SUBSCRIPTIONS.items() if handler == service)
    return Queue(queue_name(service), bindings=[binding(exchange, routing_key=key) for key in keys], durable=True)


def make_app(settings: Settings, name: str, *, consumes: str | None = None) -> Celery:
    """The Celery app of a process; `consumes` names the service whose queue its workers read."""
    app = Celery(f"rookery.{name}", set_as_current=True)
    app.conf.update(
        broker_url=settings.redis,
        broker_transport=f"{GuardedTransport.__module__}:{GuardedTransport.__name__}",
        broker_transport_options=dict(_SOCKET),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # the default gives up after 100 tries, and the worker exits
        broker_channel_error_retry=True,
        task_queues=[make_queue(consumes)] if consumes else [],
        task_default_queue=queue_name(consumes) if consumes else "rookery.none",
        task_default_exchange=EXCHANGE,
        task_default_exchange_type="topic",
        task_create_missing_queues=False,
        task_ignore_result=True,  # an event's state is in Postgres
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,  # whatever becomes of the event stands in Postgres, not in the queue
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=2.0,
        worker_enable_soft_shutdown_on_idle=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=True,
        task_send_sent_event=True,
        worker_proc_alive_timeout=60.0,
        enable_utc=True,
    )
    return app
