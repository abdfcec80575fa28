"""Whether a source is read, and what becomes of it, case by case."""

from typing import Any

import msgspec
import pytest

from common.datasets import parse_spec
from common.snapshots import Snapshot
from services.ingest.decisions import Known, Verdict, after_reading, before_reading, fingerprint_change, minors
from tests.specs import SMALLEST

SPEC = parse_spec("houses", SMALLEST)
MARK = {"files": [{"path": "houses.csv", "size": 1}]}
OTHER = {"files": [{"path": "houses.csv", "size": 2}]}
LATEST = Snapshot(
    dataset="houses",
    number=3,
    state="ready",
    digest="a",
    spec_digest=SPEC.digest,
    fingerprint=MARK,
    libraries={"x": "1.0"},
)
KNOWN = Known(latest=LATEST, intact=True, libraries={"x": "1.0"})


@pytest.mark.parametrize(
    ("known", "mark", "force", "verdict"),
    [
        (Known(), MARK, False, Verdict.READ),
        (KNOWN, MARK, False, Verdict.UNCHANGED),
        (KNOWN, MARK, True, Verdict.AGAIN),
        (KNOWN, OTHER, False, Verdict.READ),
        (KNOWN, None, False, Verdict.READ),
        (msgspec.structs.replace(KNOWN, intact=False), MARK, False, Verdict.READ),
        (msgspec.structs.replace(KNOWN, libraries={"x": "1.1"}), MARK, False, Verdict.READ),
    ],
)
def test_files_that_are_as_they_were_are_not_read(known: Known, mark: Any, force: bool, verdict: Verdict) -> None:
    """Only the same files under the same spec and libraries, with the snapshot intact, are left unread."""
    assert before_reading(known, SPEC, mark, force=force, asked=force) is verdict


def test_a_wrong_source_is_read_again_if_a_person_asks() -> None:
    """The schedule repeats the reason; a person gets a fresh look, and so does a changed spec."""
    known = Known(wrong=MARK, wrong_spec_digest=SPEC.digest, reason="no rows")
    assert before_reading(known, SPEC, MARK, force=False, asked=False) is Verdict.STILL_WRONG
    assert before_reading(known, SPEC, MARK, force=False, asked=True) is Verdict.READ
    changed = msgspec.structs.replace(known, wrong_spec_digest="other")
    assert before_reading(changed, SPEC, MARK, force=False, asked=False) is Verdict.READ


def test_the_content_decides_after_reading() -> None:
    """The same digest is unchanged, or the last snapshot again if forced; another is a new snapshot."""
    assert after_reading(KNOWN, SPEC, "a", force=False) is Verdict.UNCHANGED
    assert after_reading(KNOWN, SPEC, "a", force=True) is Verdict.AGAIN
    assert after_reading(KNOWN, SPEC, "b", force=False) is Verdict.LOADED
    assert after_reading(msgspec.structs.replace(KNOWN, intact=False), SPEC, "a", force=False) is Verdict.LOADED


def test_a_new_date_of_the_same_content_is_remembered() -> None:
    """Another fingerprint of the same content is written down; none, or the same, is not."""
    assert fingerprint_change(KNOWN, OTHER) == {"fingerprint": OTHER}
    assert fingerprint_change(KNOWN, MARK) == {}
    assert fingerprint_change(KNOWN, None) == {}


def test_a_patch_of_a_library_changes_nothing() -> None:
    """Versions are compared by their first two numbers."""
    assert minors({"numpy": "2.4.6", "python": "3.11.9"}) == {"numpy": "2.4", "python": "3.11"}
