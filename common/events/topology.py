"""Who emits and who handles which event: the exchange, the queues, and the one queue each event type goes to.

Every routing key is bound to exactly one queue: two queues would share a delivery tag on the Redis transport, and one
acknowledgement would delete the other's safety copy.
"""

from common.events import model

EXCHANGE = "rookery"
STREAM = "rookery:events"
STREAM_LENGTH = 10_000
PARKED = "rookery:parked"
# Set when Redis first serves this instance; where it is missing, Redis was emptied.
MARKER = "rookery:marker"

SUBSCRIPTIONS: dict[str, str] = {
    model.IngestRequested.type: "ingest",
    model.DatasetIngested.type: "preprocess",
    model.DatasetPreprocessed.type: "train",
    model.TrainingRequested.type: "train",
    model.CandidatesScored.type: "train",
    model.ModelPublished.type: "train",
    model.ModelHeld.type: "train",
}
EMITTERS: dict[str, tuple[str, ...]] = {
    model.IngestRequested.type: ("beat", "command line", "console"),
    model.DatasetIngested.type: ("ingest",),
    model.DatasetUnchanged.type: ("ingest",),
    model.DatasetRejected.type: ("ingest", "preprocess"),
    model.DatasetPreprocessed.type: ("preprocess",),
    model.TrainingRequested.type: ("train",),
    model.CandidatesScored.type: ("train",),
    model.ModelTrained.type: ("train",),
    model.ModelPublished.type: ("train",),
    model.ModelHeld.type: ("train",),
    model.RunCompleted.type: ("runtime",),
    model.RunFailed.type: ("runtime",),
    model.RunSuperseded.type: ("runtime",),
    model.ModelLoaded.type: ("inference",),
    model.ModelRejected.type: ("inference",),
}
SERVICES = ("ingest", "preprocess", "train")


def queue_name(service: str) -> str:
    """The queue of a service."""
    return f"rookery.{service}"


def queue_of(event_type: str) -> str | None:
    """The queue that an event type goes to; None for one that nobody handles."""
    service = SUBSCRIPTIONS.get(event_type)
    return queue_name(service) if service else None
