"""Every error of Rookery has one root; whether it is worth trying again is decided once, by its class.

A class's docstring is its default message; what a caller may want to know is an attribute.
"""

from collections.abc import Sequence


class RookeryError(Exception):
    """Something went wrong."""

    retryable = False

    def __init__(self, message: str | None = None) -> None:
        """Takes the sentence a person reads; the class's docstring where none is given."""
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        """The sentence a person reads."""
        return str(self.args[0])


class RetryableError(RookeryError):
    """It may work when tried again."""

    retryable = True


class SettingsError(RookeryError):
    """A setting is missing or wrong."""


class SpecError(RookeryError):
    """A data set's spec is wrong."""

    def __init__(self, message: str, *, path: str = "", key: str = "") -> None:
        """Takes what is wrong and what would be right, the file, and the key within it."""
        super().__init__(f"{path}: {key}: {message}" if key else f"{path}: {message}" if path else message)
        self.path = path
        self.key = key


class UnknownDatasetError(RookeryError):
    """There is no such data set."""


class DataError(RookeryError):
    """The data do not fit the spec: this snapshot is rejected, the old tables and models stay."""


class SourceUnavailableError(RetryableError):
    """The source cannot be read at the moment."""


class BundleError(RookeryError):
    """A model version is damaged, not ours, or not loadable here."""


class LeaseLostError(RookeryError):
    """The event went to another attempt while this one worked; nothing of this one is kept."""


class NotFoundError(RookeryError):
    """There is no such thing."""


class ConflictError(RookeryError):
    """What was asked does not fit the state it was asked in."""


class RecordError(RookeryError):
    """A record cannot be encoded."""

    def __init__(self, message: str, *, record: int, field: str, known: Sequence[str] = ()) -> None:
        """Takes the record's index from 0, the field, and the known categories where that is the question."""
        super().__init__(message)
        self.record = record
        self.field = field
        self.known = tuple(known)


def is_retryable(error: BaseException) -> bool:
    """Tells whether a handler's failure is worth another attempt.

    Ours say so by their class. Of others, what the surroundings cause (a lost connection, a full disk, too little
    memory, a time-out) may pass; anything else is a defect that the next attempt would meet again.
    """
    if isinstance(error, RookeryError):
        return error.retryable
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError | MemoryError | TimeoutError):
            return True
        module = type(seen).__module__.partition(".")[0]
        if module in {"asyncpg", "psycopg", "redis", "sqlalchemy"} and _is_of_the_connection(seen):
            return True
        seen = seen.__cause__
    return False


def _is_of_the_connection(error: BaseException) -> bool:
    """Tells a lost, refused or overloaded server from a wrong statement.

    Asyncpg names PostgreSQL's error classes; https://www.postgresql.org/docs/current/errcodes-appendix.html lists their
    codes: 08 connection, 40 rollback (serialization, deadlock), 53 resources, 55 object in use, 57 operator, 58 system.
    """
    code = getattr(error, "sqlstate", None)
    if isinstance(code, str):
        return code[:2] in {"08", "40", "53", "55", "57", "58"}
    name = type(error).__name__
    # asyncpg's InternalClientError is what a connection says that the server left in the middle of something.
    return (
        "InternalClient" in name
        or "Connection" in name
        or "Interface" in name
        or "Timeout" in name
        or name == "OperationalError"
    )
