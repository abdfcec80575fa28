"""What happened in a run, as JSON lines: asked, acknowledged, handled, ended, served, and the faults between.

Times are in seconds since the epoch. Everything a judgement needs is in here, so that the checker reads nothing else.
"""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="what"):
    """One line of a history; `what` says which kind."""


class Asked(Line, frozen=True, tag="asked"):
    """Somebody is about to commit a request; its effect may exist from now on."""

    run: str
    at: float


class Acknowledged(Line, frozen=True, tag="acknowledged"):
    """The request was committed: its effect must exist."""

    run: str
    at: float


class Refused(Line, frozen=True, tag="refused"):
    """A request was not taken."""

    reason: str
    at: float


class Published(Line, frozen=True, tag="published"):
    """An event was handed to Redis, as far as PostgreSQL knows."""

    event: str
    at: float


class Handled(Line, frozen=True, tag="handled"):
    """One effect of one event. `began_at` is when the attempt that had it was claimed."""

    event: str
    type: str
    subject: str
    dataset: str
    run: str
    at: float
    began_at: float
    version: int | None = None


class Run(Line, frozen=True, tag="run"):
    """What PostgreSQL says of a run at the end."""

    run: str
    dataset: str
    requested_by: str
    state: str
    reason: str
    at: float
    ended_at: float | None


class DeadLetter(Line, frozen=True, tag="dead"):
    """An event that was given up."""

    event: str
    type: str
    error: str


class Fault(Line, frozen=True, tag="fault"):
    """Something was broken on purpose. `over_at` is when the thing itself was there again."""

    name: str
    target: str
    at: float
    over_at: float


class Lived(Line, frozen=True, tag="lived"):
    """A process of a service ended; `planned` where the harness ended it."""

    name: str
    pid: int
    at: float
    planned: bool


class Released(Line, frozen=True, tag="released"):
    """A version is whole in the folder and may be served from now on."""

    model: str
    version: int
    at: float


class Served(Line, frozen=True, tag="served"):
    """An answer of the prediction API, status 0 for none; `good` where the answer is that version's own."""

    status: int
    at: float
    seconds: float
    model: str = ""
    version: int = 0
    good: bool = True


class Cut(Line, frozen=True, tag="cut"):
    """A request's connection was cut before its answer; it was asked once more, which is what was served."""

    at: float
    error: str


Record = (
    Asked | Acknowledged | Refused | Published | Handled | Run | DeadLetter | Fault | Lived | Released | Served | Cut
)
R = TypeVar("R")


class History:
    """A recorded history: kept in memory and appended to a file as it happens."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()
        self.records: list[Record] = []

    def note(self, record: Record) -> None:
        """Records something; from any thread."""
        with self._lock:
            self.records.append(record)
            self._file.write(msgspec.json.encode(record) + b"\n")

    def of(self, kind: type[R]) -> list[R]:
        """The records of a kind, in the order they were made."""
        return [record for record in self.records if isinstance(record, kind)]

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_history(lines: Iterable[bytes]) -> Iterator[Record]:
    """The records of a history's lines."""
    decoder = msgspec.json.Decoder(Record)
    for line in lines:
        yield decoder.decode(line)
