"""The quick way of reading a request gives what the long way gives."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RecordError
from common.features import Encoder, Feature
from services.inference import schemas
from services.inference.rows import RowReader
from services.inference.web.problems import ProblemError

FEATURES = (
    Feature("island", "categorical", levels=("Biscoe", "Dream", "Torgersen")),
    Feature("length", "numeric", fill=4.0),
    Feature("sex", "categorical", levels=("FEMALE", "MALE"), fill="MALE"),
    Feature("mass", "numeric"),
)
ENCODER = Encoder(FEATURES)
READER = RowReader(ENCODER)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "island": st.sampled_from(["Biscoe", "Dream", "Torgersen", "DREAM", "biscoe", "tORGERSEN", "Atlantis", 3, None]),
    "length": st.one_of(st.floats(), st.integers(), st.none(), st.booleans()),
    "sex": st.sampled_from(["MALE", "male", "Female", None, ""]),
    "mass": st.one_of(st.floats(-1e40, 1e40), st.integers(-(10**50), 10**50), st.just("1")),
    "extra": st.integers(),
}


@given(st.lists(st.fixed_dictionaries({}, optional=VALUES), max_size=4))
def test_both_ways_agree(records: list[dict[str, Any]]) -> None:
    """Whatever the records are, both ways give the same matrix or the same refusal."""
    body = json.dumps({"records": records}).encode()

    def outcome(read: Any) -> tuple[Any, ...]:
        try:
            return "matrix", read().tolist()
        except (ProblemError, RecordError) as error:
            return "refused", error.message

    quick = outcome(lambda: READER.read(body)[0])
    assert quick == outcome(lambda: ENCODER.encode(schemas.read(body).records))


def test_the_model_in_the_body_is_told() -> None:
    """The name of a model in the body comes back beside the matrix."""
    record = {"island": "Dream", "length": 1, "sex": "male", "mass": 2.5}
    for records in ([record], [record] * 3, [{**record, "length": None}]):
        matrix, model = READER.read(json.dumps({"records": records, "model": "other"}).encode())
        assert model == "other"
        assert np.array_equal(matrix, ENCODER.encode(records))


@pytest.mark.parametrize("body", [b'{"records":[]}', b"", b"[]", b'{"records":[7]}'])
def test_no_request_is_refused(body: bytes) -> None:
    """What is no request is refused by the quick way too."""
    with pytest.raises(ProblemError):
        READER.read(body)
