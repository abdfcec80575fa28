"""Events: frozen values with the attributes of CloudEvents 1.0 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md).

Past tense says what happened; `.requested` asks for something. Who handles each: `common.events.topology`.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar, Self
from uuid import UUID, uuid5

import msgspec
from uuid_utils.compat import uuid7

# The namespace of the ids of ticks (RFC 9562, version 5), itself made once at random.
TICKS = UUID("6f2d1c0e-9b7a-4b8e-8a55-5a3f0c7de9b1")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What every event carries. `correlationid` is the run, `causationid` the event that caused this one."""

    type: ClassVar[str] = ""
    part_of_run: ClassVar[bool] = True

    data: Any
    subject: str
    id: UUID = msgspec.field(default_factory=uuid7)
    source: str = ""
    time: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
    correlationid: UUID
    causationid: UUID | None = None

    @classmethod
    def caused_by(cls, cause: "Event", *, subject: str | None = None, **data: Any) -> Self:
        """An event of the cause's run; `data` are the fields of this type's data.

        The runtime fills in the source when it commits.
        """
        body = msgspec.convert(data, data_type(cls))
        return cls(
            data=body,
            subject=subject or data.get("model") or data.get("dataset") or cause.subject,
            correlationid=cause.correlationid,
            causationid=cause.id,
        )

    @classmethod
    def first(cls, *, subject: str, source: str, id: UUID | None = None, **data: Any) -> Self:  # noqa: A002 - the attribute's name in CloudEvents
        """An event that begins a run: the run has the event's id."""
        identity = id or uuid7()
        body = msgspec.convert(data, data_type(cls))
        return cls(data=body, subject=subject, source=source, id=identity, correlationid=identity)

    @property
    def dataset(self) -> str | None:
        """The data set it is about."""
        dataset: str | None = getattr(self.data, "dataset", None)
        return dataset


def data_type(kind: type[Event]) -> Any:
    """The type of the data of an event type: what its field `data` is annotated with."""
    return next(field.type for field in msgspec.structs.fields(kind) if field.name == "data")


class IngestRequested(Event, frozen=True, kw_only=True):
    """Somebody or the schedule asks for the data set to be read."""

    type: ClassVar[str] = "ingest.requested"

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """Force: go on also where nothing changed."""

        dataset: str
        force: bool = False

    data: Data


class DatasetIngested(Event, frozen=True, kw_only=True):
    """A snapshot of the data set is in Postgres."""

    type: ClassVar[str] = "dataset.ingested"

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """The snapshot's number, content digest and rows."""

        dataset: str
        snapshot: int
        digest: str
        rows: int

    data: Data


class DatasetUnchanged(Event, frozen=True, kw_only=True):
    """The source holds what the last snapshot holds; the chain stops here."""

    type: ClassVar[str] = "dataset.unchanged"

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """The digest that both have."""

        dataset: str
        digest: str

    data: Data


class DatasetRejected(Event, frozen=True, kw_only=True):
    """The data do not fit the spec; old tables and models stay."""

    type: ClassVar[str] = "dataset.rejected"

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """Why, in a sentence."""

        dataset: str
        reason: str

    data: Data


class DatasetPreprocessed(Event, frozen=True, kw_only=True):
    """The snapshot is cleaned and encoded."""

    type: ClassVar[str] = "dataset.preprocessed"

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """Rows kept, and rows dropped by reason."""

        dataset: str
        snapshot: int
        rows_kept: int
        rows_dropped: dict[str, int] = {}

    data: Data


class TrainingRequested(Event, frozen=True, kw_only=True):
    """One family (or a slice of its grid) is to be trained on a snapshot."""

    type: ClassVar[str] = "training.requested"

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """`slice` numbers a part of the grid from 0, of `slices`."""

        dataset: str
        family: str
        snapshot: int
        slice: int = 0
        slices: int = 1

    data: Data


class CandidatesScored(Event, frozen=True, kw_only=True):
    """The candidates of one slice of the grid have their scores."""

    type: ClassVar[str] = "candidates.scored"

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """Scores: one entry per candidate, with its parameters and its folds' scores."""

        dataset: str
        family: str
        snapshot: int
        slice: int
        slices: int
        scores: list[dict[str, Any]]

    data: Data


class ModelTrained(Event, frozen=True, kw_only=True):
    """A model was fitted and scored."""

    type: ClassVar[str] = "model.trained"

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """Metrics on the test split, the best parameters, and what it took."""

        dataset: str
        family: str
        model: str
        version: int
        metrics: dict[str, float]
        best_params: dict[str, Any]
        report: dict[str, Any] = {}
        seconds: float

    data: Data


class ModelPublished(Event, frozen=True, kw_only=True):
    """A version is in the shared folder and is to be live."""

    type: ClassVar[str] = "model.published"
    part_of_run: ClassVar[bool] = False

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """The version, and why it went live."""

        dataset: str
        model: str
        version: int
        reason: str

    data: Data


class ModelHeld(Event, frozen=True, kw_only=True):
    """A version is in the shared folder but was not made live; the live one stays."""

    type: ClassVar[str] = "model.held"
    part_of_run: ClassVar[bool] = False

    class Data(msgspec.Struct, frozen=True, kw_only=True):
        """The version, and why it is held."""

        dataset: str
        model: str
        version: int
        reason: str

    data: Data


class _RunEnded(msgspec.Struct, frozen=True, kw_only=True):
    dataset: str
    seconds: float
    models: list[str] = []
    reason: str = ""


class RunCompleted(Event, frozen=True, kw_only=True):
    """A run has ended well; no event of it is open."""

    type: ClassVar[str] = "run.completed"
    data: _RunEnded


class RunFailed(Event, frozen=True, kw_only=True):
    """A run has ended, and an event of it is a dead letter or its data were rejected."""

    type: ClassVar[str] = "run.failed"
    data: _RunEnded


class RunSuperseded(Event, frozen=True, kw_only=True):
    """A run has ended because a newer snapshot of its data set overtook it."""

    type: ClassVar[str] = "run.superseded"
    data: _RunEnded


class _Loading(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    version: int
    reason: str = ""
    milliseconds: float = 0.0


class ModelLoaded(Event, frozen=True, kw_only=True):
    """Inference serves a version."""

    type: ClassVar[str] = "model.loaded"
    data: _Loading


class ModelRejected(Event, frozen=True, kw_only=True):
    """Inference refused a version; the old one serves on."""

    type: ClassVar[str] = "model.rejected"
    data: _Loading


EVENT_TYPES: dict[str, type[Event]] = {
    kind.type: kind
    for kind in (
        IngestRequested,
        DatasetIngested,
        DatasetUnchanged,
        DatasetRejected,
        DatasetPreprocessed,
        TrainingRequested,
        CandidatesScored,
        ModelTrained,
        ModelPublished,
        ModelHeld,
        RunCompleted,
        RunFailed,
        RunSuperseded,
        ModelLoaded,
        ModelRejected,
    )
}


def tick_id(dataset: str, window: int) -> UUID:
    """The id of a tick: the same for every beat that ticks for this data set in this window."""
    return uuid5(TICKS, f"{dataset}/{window}")


def change_id(dataset: str, mark: str) -> UUID:
    """The id of the request that a changed source or spec leads to: the same for every beat that sees this change."""
    return uuid5(TICKS, f"{dataset} changed {mark}")
