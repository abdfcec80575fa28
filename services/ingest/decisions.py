"""Whether a source is read, and what becomes of what was read: decisions on values, without effects."""

from enum import Enum, auto
from typing import Any

import msgspec

from common.datasets.files import Fingerprint
from common.datasets.spec import DatasetSpec
from common.snapshots import Snapshot


class Verdict(Enum):
    """What is to be done about an `ingest.requested`."""

    READ = auto()  # the source may hold something new
    LOADED = auto()  # what was read is a new snapshot
    UNCHANGED = auto()  # the chain stops here
    AGAIN = auto()  # the last snapshot goes through the chain once more
    STILL_WRONG = auto()  # the source is as it was when it was rejected


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a data set before its source is read.

    `intact`: the last snapshot's tables are there as they were made. `wrong`: what the source looked like, and why,
    when it was rejected since.
    """

    latest: Snapshot | None = None
    intact: bool = False
    libraries: dict[str, str] = {}
    wrong: Fingerprint | None = None
    wrong_spec_digest: str = ""
    reason: str = ""

    def is_current(self, spec: DatasetSpec) -> bool:
        """Whether the last snapshot was made with this spec and these libraries, and is intact."""
        return (
            self.latest is not None
            and self.intact
            and self.latest.spec_digest == spec.digest
            and self.latest.libraries == self.libraries
        )


def before_reading(known: Known, spec: DatasetSpec, mark: Fingerprint | None, *, force: bool, asked: bool) -> Verdict:
    """By the fingerprint of the files alone; None says nothing. A wrong source is read again if a person `asked`."""
    if mark is None:
        return Verdict.READ
    if known.latest is not None and known.is_current(spec) and known.latest.fingerprint == mark:
        return Verdict.AGAIN if force else Verdict.UNCHANGED
    if not asked and known.wrong == mark and known.wrong_spec_digest == spec.digest:
        return Verdict.STILL_WRONG
    return Verdict.READ


def after_reading(known: Known, spec: DatasetSpec, digest: str, *, force: bool) -> Verdict:
    """By the digest of the content."""
    if known.latest is not None and known.is_current(spec) and known.latest.digest == digest:
        return Verdict.AGAIN if force else Verdict.UNCHANGED
    return Verdict.LOADED


def minors(versions: dict[str, str]) -> dict[str, str]:
    """Versions without their patch level: a new minor of a library leads to a training, a patch does not."""
    return {name: ".".join(found.split(".")[:2]) for name, found in versions.items()}


def rows_before(known: Known) -> int | None:
    """The rows of the last snapshot, which a new one may not fall far short of."""
    return known.latest.rows if known.latest is not None else None


def fingerprint_change(known: Known, mark: Fingerprint | None) -> dict[str, Any]:
    """What is to be written where the content is the same under another fingerprint: so it is not read again."""
    if known.latest is None or mark is None or known.latest.fingerprint == mark:
        return {}
    return {"fingerprint": mark}
