"""One definition of how records become numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RecordError
from common.features import LARGEST, Encoder, Feature, feature_columns, full_columns

FEATURES = (
    Feature("length", "numeric", minimum=1.0, maximum=9.0),
    Feature("island", "categorical", ("Biscoe", "Dream", "Torgersen")),
    Feature("mass", "numeric"),
    Feature("sex", "categorical", ("Female", "Male")),
)
RECORD = {"length": 2.5, "island": "Dream", "mass": 3750, "sex": "Male"}

records = st.fixed_dictionaries(
    {
        "length": st.floats(-LARGEST, LARGEST) | st.integers(-(10**9), 10**9),
        "island": st.sampled_from(["Biscoe", "Dream", "Torgersen", "DREAM", "biscoe", "torGERsen"]),
        "mass": st.floats(-1e6, 1e6),
        "sex": st.sampled_from(["Female", "Male", "MALE", "male", "fEmAlE"]),
    }
)


def refusal(record: Any, features: tuple[Feature, ...] = FEATURES) -> RecordError:
    """The error that a record is refused with, the same alone and as the second of a batch."""
    good = {"length": 1.0, "island": "Dream", "mass": 1.0, "sex": "Male"}
    with pytest.raises(RecordError) as alone:
        Encoder(features).encode([record])
    with pytest.raises(RecordError) as second:
        Encoder(features).encode([good, record])
    assert (alone.value.record, second.value.record) == (0, 1)
    assert alone.value.field == second.value.field
    return alone.value


def test_columns_are_numbers_then_levels() -> None:
    """The full encoding has every level, the model's leaves out the first of each."""
    assert full_columns(FEATURES) == (
        "length",
        "mass",
        "island_Biscoe",
        "island_Dream",
        "island_Torgersen",
        "sex_Female",
        "sex_Male",
    )
    assert feature_columns(FEATURES) == ("length", "mass", "island_Dream", "island_Torgersen", "sex_Male")


def test_a_record_becomes_a_row() -> None:
    """A record alone has its categories: nothing is dropped for want of others to compare with."""
    assert Encoder(FEATURES).encode([RECORD]).tolist() == [[2.5, 3750.0, 1.0, 0.0, 1.0]]


@given(st.lists(records, min_size=1, max_size=8))
def test_alone_and_together_agree(batch: list[dict[str, Any]]) -> None:
    """Every record encodes to the same row alone, in a batch, and as columns."""
    encoder = Encoder(FEATURES)
    together = encoder.encode(batch)
    alone = np.concatenate([encoder.encode([record]) for record in batch])
    columns = encoder.encode_columns({name: [record[name] for record in batch] for name in RECORD})
    assert together.tolist() == alone.tolist() == columns.tolist()


@given(st.lists(records, min_size=1, max_size=5))
def test_decoding_undoes_encoding(batch: list[dict[str, Any]]) -> None:
    """What decoding gives encodes to the same matrix, and its fields stand in the features' order."""
    encoder = Encoder(FEATURES)
    matrix = encoder.encode(batch)
    decoded = encoder.decode(matrix)
    assert encoder.encode(decoded).tolist() == matrix.tolist()
    assert list(decoded[0]) == [feature.name for feature in FEATURES]


def test_categories_that_differ_only_in_case_must_match_exactly() -> None:
    """Where two levels differ only in case, no guess is made between them."""
    features = (Feature("code", "categorical", ("AB", "Ab", "xy")),)
    encoder = Encoder(features)
    assert encoder.encode([{"code": "AB"}, {"code": "Ab"}, {"code": "XY"}]).tolist() == [[0, 0], [1, 0], [0, 1]]
    with pytest.raises(RecordError):
        encoder.encode([{"code": "ab"}])


def test_an_unknown_category_lists_the_known_ones() -> None:
    """The error names the record, the field and the levels, and repeats no page of what was sent."""
    error = refusal(RECORD | {"island": "Atlantis" * 1000})
    assert error.field == "island"
    assert error.known == ("Biscoe", "Dream", "Torgersen")
    assert "known are Biscoe, Dream, Torgersen" in error.message
    assert len(error.message) < 300


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (True, "a boolean"),
        ("3", "text"),
        (None, "null"),
        ([1], "an array"),
        ({}, "an object"),
        (float("nan"), "NaN"),
        (float("inf"), "too large"),
        (-(10**400), "too large"),
        (1e39, "too large"),
    ],
)
def test_what_is_no_number_is_refused(value: Any, part: str) -> None:
    """A number is finite, fits a float32, and is neither text nor a boolean."""
    error = refusal(RECORD | {"length": value})
    assert error.field == "length"
    assert part in error.message


@pytest.mark.parametrize("value", [1, None, True, ["Dream"], {"a": 1}])
def test_what_is_no_text_is_no_category(value: Any) -> None:
    """A category is text."""
    assert refusal(RECORD | {"island": value}).field == "island"


def test_a_missing_field_is_named() -> None:
    """A record without one of the fields says which."""
    error = refusal({name: value for name, value in RECORD.items() if name != "mass"})
    assert (error.field, "is missing" in error.message) == ("mass", True)


@pytest.mark.parametrize("record", [[], "text", 1, None])
def test_a_record_is_an_object(record: Any) -> None:
    """Anything else is refused as a record."""
    assert "object" in refusal(record).message


def test_nulls_are_filled_where_the_feature_says_so() -> None:
    """A null becomes the feature's fill, in every way of encoding; an absent field is still refused."""
    features = (Feature("x", "numeric", fill=4.5), Feature("c", "categorical", ("a", "b"), fill="b"))
    encoder = Encoder(features)
    expected = [[4.5, 1.0], [1.0, 0.0]]
    assert encoder.encode([{"x": None, "c": None}, {"x": 1, "c": "a"}]).tolist() == expected
    assert encoder.encode([{"x": None, "c": None}]).tolist() == expected[:1]
    assert encoder.encode_columns({"x": np.array([np.nan, 1.0]), "c": [None, "a"]}).tolist() == expected
    with pytest.raises(RecordError):
        encoder.encode([{"x": None}])


@pytest.mark.parametrize(
    ("columns", "record", "field"),
    [
        ({"length": [1.0], "island": ["Dream"], "mass": [2.0]}, 0, "sex"),
        ({"length": [1.0, 2.0], "island": ["Dream"], "mass": [2.0, 3.0], "sex": ["Male", "Male"]}, 1, "island"),
        (
            {"length": np.array([1.0, np.inf]), "island": ["Dream"] * 2, "mass": [1, 2], "sex": ["Male"] * 2},
            1,
            "length",
        ),
        ({"length": [1, 2], "island": ["Dream", "x"], "mass": [1, 2], "sex": ["Male"] * 2}, 1, "island"),
        (
            {"length": np.array([True, False]), "island": ["Dream"] * 2, "mass": [1, 2], "sex": ["Male"] * 2},
            0,
            "length",
        ),
    ],
)
def test_columns_are_refused_like_records(columns: Any, record: int, field: str) -> None:
    """The error of a column says which row and field, as for records."""
    with pytest.raises(RecordError) as error:
        Encoder(FEATURES).encode_columns(columns)
    assert (error.value.record, error.value.field) == (record, field)


@pytest.mark.parametrize("features", [(Feature("x", "numeric"),), (Feature("c", "categorical", ("a", "b")),)])
def test_one_feature_is_enough(features: tuple[Feature, ...]) -> None:
    """A data set of one feature encodes like any other."""
    record = {features[0].name: 1.0 if features[0].kind == "numeric" else "b"}
    assert Encoder(features).encode([record]).tolist() == [[1.0]]
    assert Encoder(features).encode([record, record]).tolist() == [[1.0], [1.0]]
