"""The reader of the ingest bench: which answers it takes for wrong."""

import pytest

from bench.ingest.reader import fault_of

OLD, NEW = 16001, 16002
SIZES = [100, 101]


@pytest.mark.parametrize(
    ("answer", "seen", "latest", "fault"),
    [
        ((100, OLD, OLD), [], 0, ""),
        ((101, NEW, NEW), [OLD], 0, ""),
        ((0, None, None), [OLD], 0, "no rows"),
        ((60, OLD, OLD), [OLD], 0, "60 rows instead of 100"),
        ((201, OLD, NEW), [OLD], 0, "201 rows, of two snapshots"),
        ((100, OLD, OLD), [OLD, NEW], 1, "the old snapshot, after the new one was seen"),
        ((7, NEW + 1, NEW + 1), [OLD, NEW], 1, "a snapshot that nobody made"),
    ],
)
def test_empty_partial_mixed_and_older_answers_are_wrong(
    answer: tuple[int, int | None, int | None], seen: list[int], latest: int, fault: str
) -> None:
    """All rows of one snapshot are right, the old one before the new one; anything else is told."""
    row = dict(zip(("rows", "low", "high"), answer, strict=True))
    assert fault_of(row, list(seen), SIZES, latest)[0] == fault
