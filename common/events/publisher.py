"""Events on their way out: to the queue of the service that handles them, and to the readable stream.

Redis only delivers: whatever fails here is sent again by the sweep.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import redis
from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from kombu.messaging import Producer

from common.errors import RetryableError
from common.events.broker import make_queue
from common.events.model import Event
from common.events.stream import flat
from common.events.topology import EXCHANGE, MARKER, STREAM, STREAM_LENGTH, SUBSCRIPTIONS

T = TypeVar("T")


class PublishError(RetryableError):
    """Redis did not take an event; it stays in Postgres and is sent again."""


class Publisher:
    """Publishes events. Blocking, for use in a thread; one call at a time.

    A Redis topic exchange silently drops what no queue is bound for, so each publish is preceded by a declaration of
    its queue: not `maybe_declare`, nor Celery's own, which remember a declaration that an emptied Redis has forgotten.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def publish(self, events: Sequence[Event], *, tell: bool = True) -> None:
        """Hands events to Redis, in order; `tell` writes them to the stream as well. Raises PublishError."""

        def send(producer: Producer) -> None:
            for event in events:
                if event.type in SUBSCRIPTIONS:
                    self._send(producer, event)
            if tell:
                self._tell(producer, events)

        if events:
            self._try(send, f"Redis did not take {events[0].type}")

    def queued_ids(self, queue: str, *, most: int = 1000) -> set[UUID] | None:
        """The ids of the events that wait in a queue; None where there are more than `most`. Raises PublishError."""

        def read(producer: Producer) -> set[UUID] | None:
            client = producer.channel.client
            return None if client.llen(queue) > most else set(_ids(client.lrange(queue, 0, most)))

        return self._try(read, "Redis does not answer")

    def was_emptied(self) -> bool:
        """Whether Redis has lost everything since this was last asked, by anybody. Raises PublishError."""
        return self._try(
            lambda producer: bool(producer.channel.client.set(MARKER, "", nx=True)), "Redis does not answer"
        )

    def _try(self, call: Callable[[Producer], T], complaint: str) -> T:
        """Does something on a connection, at most twice: one that was kept may have died since. Raises PublishError.

        A message that was sent by both tries is one too many, which does no harm.
        """
        with self._lock:
            while True:
                kept = self._producer is not None
                try:
                    return call(self._open())
                except self._errors() as error:
                    self.close()
                    if not kept:
                        raise PublishError(f"{complaint}: {error}") from error

    def close(self) -> None:
        """Drops the connection; the next publish opens another."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            with suppress(*self._errors()):
                connection.release()

    def _open(self) -> Producer:
        """The producer of an open connection, whose timeouts are short: a publish is tried again anyway."""
        if self._producer is None:
            options = dict(self._app.conf.broker_transport_options)
            options.update(socket_timeout=2.0, socket_connect_timeout=1.0, retry_on_timeout=False)
            self._connection = self._app.connection_for_write(transport_options=options)
            self._producer = Producer(self._connection.channel(), auto_declare=False)
        return self._producer

    def _errors(self) -> tuple[type[Exception], ...]:
        """What a Redis that is away makes of a call; a new connection may cure it."""
        connection = self._connection
        ours: tuple[type[Exception], ...] = (OSError, redis.RedisError, OperationalError)
        return ours if connection is None else (*ours, *connection.connection_errors, *connection.channel_errors)

    def _send(self, producer: Producer, event: Event) -> None:
        """Declares the queue and sends the event as the task that Flower shows."""
        queue: Queue = make_queue(SUBSCRIPTIONS[event.type], event.type)
        queue(producer.channel).declare()
        run = str(event.correlationid)
        self._app.send_task(
            event.type,
            kwargs={"event": wire(event)},
            task_id=str(event.id),
            producer=producer,
            queue=queue,
            exchange=EXCHANGE,
            routing_key=event.type,
            declare=[],
            argsrepr=f"({event.subject}, run {run[-6:]})",
            kwargsrepr="{}",
            retry=False,
            ignore_result=True,
        )

    def _tell(self, producer: Producer, events: Sequence[Event]) -> None:
        """Adds the events to the capped stream, in one round trip."""
        with producer.channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipeline:
            for event in events:
                fields: dict[Any, Any] = dict(flat(event))
                pipeline.xadd(STREAM, fields, maxlen=STREAM_LENGTH, approximate=True)
            pipeline.execute()


def wire(event: Event) -> dict[str, Any]:
    """The event's attributes as JSON values, with its type: CloudEvents' JSON form."""
    attributes: dict[str, Any] = msgspec.to_builtins(event)
    return {"type": event.type, **attributes}


def _ids(entries: Iterable[bytes]) -> Iterable[UUID]:
    """The event ids of a queue's entries; garbage has none."""
    for entry in entries:
        try:
            yield UUID(msgspec.json.decode(entry)["headers"]["id"])
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError):
            continue
