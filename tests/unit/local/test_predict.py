"""Rows of a CSV as records of the API, and its answers as cells."""

from pathlib import Path

import pytest

from common.errors import DataError, NotFoundError
from services.local.commands import predict
from services.local.commands.predict import added_cells, features_of, in_file, to_record

FEATURES = {"mass": "number", "island": "string"}
LISTED = {
    "models": [
        {"name": "forest", "features": [{"name": "mass", "type": "number"}, {"name": "island", "type": "string"}]},
        {"name": "loading", "version": None},
    ],
    "default": "forest",
}


def test_a_record_has_what_the_model_wants() -> None:
    """Other columns are left out, numbers are numbers, and an empty cell is null."""
    assert to_record({"mass": " 3750 ", "island": "", "species": "x"}, FEATURES, line=2) == {
        "mass": 3750.0,
        "island": None,
    }


def test_a_cell_that_is_no_number_is_named() -> None:
    """The error says line and column."""
    with pytest.raises(DataError, match="line 7, column mass: 'heavy' is no number"):
        to_record({"mass": "heavy", "island": "Biscoe"}, FEATURES, line=7)


def test_a_row_with_too_many_cells_is_named() -> None:
    """A row that does not fit the header is not cut to fit."""
    with pytest.raises(DataError, match="line 3: has more cells"):
        to_record({"mass": "1", "island": "Biscoe", None: ["more"]}, FEATURES, line=3)


@pytest.mark.parametrize("model", [None, "forest", "forest.pkl", "forest@3"])
def test_the_features_are_those_of_the_model_asked_for(model: str | None) -> None:
    """The default, a name, a file's name and a version all find the model."""
    assert features_of(LISTED, model) == FEATURES


@pytest.mark.parametrize("model", ["loading", "nobody"])
def test_a_model_that_does_not_answer_is_told_with_those_that_are_known(model: str) -> None:
    """The error lists what there is."""
    with pytest.raises(NotFoundError, match="known are forest, loading"):
        features_of(LISTED, model)


def test_a_row_gets_prediction_and_probabilities() -> None:
    """One cell for the prediction, one per class; a column of that name stays as it is."""
    answer = {"predictions": ["a", "b"], "probabilities": [[0.9, 0.1], [0.2, 0.8]], "classes": ["a", "b"]}
    cells = added_cells(answer, 1, ["prediction"])
    assert cells == {"prediction_by_model": "b", "probability_a": 0.2, "probability_b": 0.8}


def test_a_refusal_names_the_line_of_the_file() -> None:
    """The API counts records of one request from 0; the first line of a batch says where that is in the file."""
    assert in_file("record 3: field 'mass': is null", first_line=1002) == "line 1005: field 'mass': is null"
    assert in_file("the model is not served", first_line=2) == "the model is not served"


def test_a_file_that_is_no_csv_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Parquet file is told as no CSV in UTF-8, and nothing is written beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predict, "call_api", lambda *_args: LISTED)
    (tmp_path / "birds.parquet").write_bytes(b"PAR1\x15\x04\xc0\xff")
    with pytest.raises(DataError, match="is no CSV in UTF-8"):
        predict.predict_command(Path("birds.parquet"), "forest", None)
    assert [path.name for path in tmp_path.iterdir()] == ["birds.parquet"]
