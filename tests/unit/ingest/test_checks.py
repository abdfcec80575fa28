"""What is counted while rows stream by, and when a snapshot as a whole does not do."""

from typing import Any

import msgspec
import pyarrow as pa
import pytest

from common.datasets import parse_spec
from common.errors import is_retryable
from services.ingest.checks import MOST_LEVELS, Profile, RejectedError, check_profile
from tests.specs import HOUSES

SPEC = parse_spec("houses", HOUSES)


def batch(price: list[Any], rooms: list[Any], town: list[Any]) -> pa.RecordBatch:
    """Rows of houses."""
    arrays = [pa.array(price, pa.float64()), pa.array(rooms, pa.float64()), pa.array(town, pa.string())]
    return pa.RecordBatch.from_arrays(arrays, ["price", "rooms", "town"])


def test_rows_count_as_complete_where_nothing_is_missing() -> None:
    """With gaps to be dropped every column counts; with gaps to be filled the target alone does."""
    rows = batch([1, 2, None, 4], [1, None, 1, 1], ["A", "A", "A", None])
    profile = Profile(SPEC)
    profile.add(rows)
    assert (profile.rows, profile.complete, profile.target_range) == (4, 1, (1.0, 1.0))
    filled = Profile(msgspec.structs.replace(SPEC, missing="impute"))
    filled.add(rows)
    assert filled.complete == 3


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), 1e300])
def test_a_number_that_no_model_can_take_is_rejected(value: float) -> None:
    """Infinite and beyond float32: told with its row, counted over batches."""
    profile = Profile(SPEC)
    profile.add(batch([1], [1], ["A"]))
    with pytest.raises(RejectedError, match="column rooms has a value too large or infinite in row 3") as caught:
        profile.add(batch([1, 1], [1, value], ["A", "A"]))
    assert not is_retryable(caught.value)


def test_an_identifier_is_no_category() -> None:
    """Too many different values end the reading early, with the question whether it is an identifier."""
    profile = Profile(SPEC)
    with pytest.raises(RejectedError, match="is it an identifier"):
        profile.add(batch([1] * 2000, [1] * 2000, [str(at) for at in range(2000)]))
    assert MOST_LEVELS < 2000


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (batch([], [], []), "there is no row among 0"),
        (batch([1, 2], [None, None], ["A", "B"]), "there is no row without missing values among 2"),
        (batch([1, 2], [1, 1], ["A", "B"]), "2 rows are too few for 3 folds"),
        (batch([3] * 20, [1] * 20, ["A"] * 20), "target price has the same value in every row: 3"),
    ],
)
def test_a_regression_needs_rows_and_a_target_that_varies(rows: pa.RecordBatch, message: str) -> None:
    """None, too few, or all alike are told."""
    profile = Profile(SPEC)
    profile.add(rows)
    with pytest.raises(RejectedError, match=message):
        check_profile(profile, SPEC, rows_before=None)


def test_shrinking_within_the_share_is_fine() -> None:
    """Half of the rows may go by default, and not one more."""
    profile = Profile(SPEC)
    profile.add(batch(list(range(50)), [1] * 50, ["A"] * 50))
    check_profile(profile, SPEC, rows_before=100)
    with pytest.raises(RejectedError, match="shrank from 101 rows to 50"):
        check_profile(profile, SPEC, rows_before=101)


def test_numbers_as_classes_are_asked_about() -> None:
    """A target of many numbers is rejected as classes with the question whether it is a regression."""
    spec = msgspec.structs.replace(SPEC, task="classification", target="town", categorical=())
    for towns, asked in (([f"{at}.5" for at in range(30)], True), ([f"town {at}" for at in range(30)], False)):
        profile = Profile(spec)
        profile.add(batch([1] * 30, [1] * 30, towns))
        with pytest.raises(RejectedError, match=r"(10|20) more") as caught:
            check_profile(profile, spec, rows_before=None)
        assert ("is it a regression?" in caught.value.message) is asked
