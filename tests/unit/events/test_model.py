"""Events as values."""

from uuid import UUID

import msgspec
import pytest

from common.events.model import EVENT_TYPES, DatasetIngested, IngestRequested, data_type, tick_id
from common.events.stream import flat
from common.events.topology import SUBSCRIPTIONS, queue_of


def test_a_caused_event_carries_run_and_cause() -> None:
    """What an event causes belongs to its run and names it."""
    first = IngestRequested.first(subject="d", source="test", dataset="d")
    second = DatasetIngested.caused_by(first, dataset="d", snapshot=1, digest="x", rows=3)
    assert second.correlationid == first.correlationid == first.id
    assert second.causationid == first.id
    assert second.subject == "d"


def test_data_of_the_wrong_form_is_refused() -> None:
    """An event cannot be made with data that its type does not have."""
    first = IngestRequested.first(subject="d", source="test", dataset="d")
    with pytest.raises(msgspec.ValidationError):
        DatasetIngested.caused_by(first, dataset="d", snapshot="one", digest="x", rows=3)


def test_the_id_of_a_tick_is_that_of_data_set_and_window() -> None:
    """Two beats give one tick one id; another window or data set has another."""
    assert tick_id("d", 7) == tick_id("d", 7)
    assert len({tick_id("d", 7), tick_id("d", 8), tick_id("e", 7)}) == 3
    assert tick_id("d", 7).version == 5


def test_other_ids_are_ordered_by_time() -> None:
    """Ids are UUIDs of version 7."""
    ids = [IngestRequested.first(subject="d", source="test", dataset="d").id for _ in range(100)]
    assert ids == sorted(ids)
    assert all(isinstance(one, UUID) and one.version == 7 for one in ids)


def test_an_event_is_frozen() -> None:
    """Nobody changes an event."""
    event = IngestRequested.first(subject="d", source="test", dataset="d")
    with pytest.raises(AttributeError):
        event.subject = "other"  # type: ignore[misc] # what the test is about


def test_the_stream_entry_is_flat_and_readable() -> None:
    """Every field of a stream entry is text that a person can read."""
    event = IngestRequested.first(subject="d", source="rookery/beat", dataset="d")
    fields = flat(event)
    assert fields["type"] == "ingest.requested"
    assert fields["run"] == str(event.id)
    assert fields["dataset"] == "d"
    assert msgspec.json.decode(fields["data"]) == {"dataset": "d", "force": False}


def test_every_subscription_is_of_a_known_event() -> None:
    """The topology names event types that exist, and each goes to one queue or none."""
    assert set(SUBSCRIPTIONS) <= set(EVENT_TYPES)
    assert queue_of("ingest.requested") == "rookery.ingest"
    assert queue_of("run.completed") is None


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_event_type_defines_its_data(name: str) -> None:
    """The type of an event's data is a frozen struct with named fields."""
    kind = data_type(EVENT_TYPES[name])
    assert issubclass(kind, msgspec.Struct)
    assert kind.__struct_config__.frozen
