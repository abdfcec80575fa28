"""Specs written from a look at the data."""

import gzip
from pathlib import Path

import pytest

from common.datasets import load_spec
from common.datasets.drafting import complete_spec, draft_spec, init_spec
from common.datasets.looking import look_at
from common.datasets.parameters import parameter_problems
from common.datasets.parsing import parse_spec
from common.errors import ConflictError, DataError, SpecError
from tests.specs import PENGUINS, PENGUINS_CSV, SMALLEST

HOUSES_CSV = "id,price,rooms,town,note,empty,same\n" + "".join(
    f"{at},{at * 7 % 97}.5,{at % 5 or ''},{'ABC'[at % 3]},text {at},,x\n" for at in range(100)
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Empty folders for specs and for data."""
    for name in ("datasets", "data"):
        (tmp_path / name).mkdir()
    return tmp_path / "datasets", tmp_path / "data"


def test_a_look_tells_numbers_categories_and_what_is_neither(tmp_path: Path) -> None:
    """Numbers are numeric, what repeats is a category, and the rest is left out with the reason."""
    (tmp_path / "houses.csv").write_text(HOUSES_CSV)
    look = look_at(tmp_path / "houses.csv")
    assert look.features("price") == (("rooms",), ("town",))
    assert {column.name: column.unfit for column in look.columns if column.unfit} == {
        "id": "it counts the rows",
        "note": "hardly a value repeats: an identifier or a text",
        "empty": "it is empty",
        "same": "it is always 'x'",
    }
    assert look.rows_with_gaps == 20


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_and_compression_are_seen(folders: tuple[Path, Path], delimiter: str) -> None:
    """The delimiter is found in the header, a compressed file is opened, and the spec says both."""
    path = folders[1] / "Sales 2024.csv.gz"
    path.write_bytes(gzip.compress(("\ufeff" + HOUSES_CSV.replace(",", delimiter)).encode()))
    spec, data = init_spec(path, "price", datasets_dir=folders[0], data_dir=folders[1])
    assert (spec.name, data) == ("sales_2024.toml", path)
    assert load_spec(spec).source.delimiter == delimiter  # type: ignore[union-attr]  # it is a CSV file


def test_a_drafted_spec_is_right_as_it_is(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """A file from elsewhere is copied, its spec is written, and nothing in it has to be corrected."""
    (tmp_path / "birds.csv").write_text(PENGUINS_CSV)
    path, data = init_spec(tmp_path / "birds.csv", "species", datasets_dir=folders[0], data_dir=folders[1])
    spec = load_spec(path)
    assert (spec.task, spec.numeric[0], spec.categorical, spec.missing) == (
        "classification",
        "bill_length_mm",
        ("island", "sex"),
        "drop",
    )
    assert data.read_text() == PENGUINS_CSV
    assert not list(parameter_problems(spec))
    with pytest.raises(ConflictError, match="exists"):
        init_spec(tmp_path / "birds.csv", "species", datasets_dir=folders[0], data_dir=folders[1])


def test_a_target_of_many_numbers_is_a_regression(tmp_path: Path) -> None:
    """A numeric target with many values is a regression, and gaps in many rows are filled."""
    (tmp_path / "houses.csv").write_text(HOUSES_CSV)
    spec = parse_spec("houses", draft_spec("houses.csv", look_at(tmp_path / "houses.csv"), "price"))
    assert (spec.task, spec.metric, spec.missing, list(spec.families)) == (
        "regression",
        "r2",
        "impute",
        ["ridge", "random_forest"],
    )


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        ("", "a", "has no header"),
        ("a,b\n", "a", "has no row"),
        ("a,b\n1\n", "a", "row 1 has 1 fields, the header 2"),
        ("a,b\n1,2\n3,4\n", "c", "there is no column 'c'; there are a, b"),
        ("a,b\n1,2\n1,4\n", "a", "'a' cannot be the target: it is always '1'"),
        ("a,b\n1,2\n2,2\n", "a", "no column is left"),
    ],
)
def test_a_file_that_does_not_do_is_told(folders: tuple[Path, Path], content: str, target: str, message: str) -> None:
    """What is no table, or has no such target, ends in a sentence and leaves no spec."""
    (folders[1] / "x.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        init_spec(folders[1] / "x.csv", target, datasets_dir=folders[0], data_dir=folders[1])
    assert not list(folders[0].iterdir())


@pytest.mark.parametrize("section", ["", '[features]   # mine\nmissing = "impute"\n'])
def test_features_left_open_are_written_back(folders: tuple[Path, Path], section: str) -> None:
    """They are found in the data and put into the file; everything else in it stays."""
    (folders[1] / "houses.csv").write_text(HOUSES_CSV)
    path = folders[0] / "houses.toml"
    path.write_text("# a comment of mine\n" + SMALLEST + section)
    spec = complete_spec(path, load_spec(path), folders[1])
    assert (spec.numeric, spec.categorical) == (("rooms",), ("town",))
    assert load_spec(path) == spec
    assert path.read_text().startswith("# a comment of mine\n")
    assert spec.missing == ("impute" if section else "drop")


def test_features_cannot_be_found_without_a_file(folders: tuple[Path, Path]) -> None:
    """Without anything to look at, the spec has to name them."""
    path = folders[0] / "houses.toml"
    path.write_text(SMALLEST)
    with pytest.raises(SpecError, match="name the numeric and categorical columns"):
        complete_spec(path, load_spec(path), folders[1])


def test_a_parameter_that_does_not_exist_is_told() -> None:
    """A slip in a parameter's name is found by asking the estimator."""
    spec = parse_spec("penguins", PENGUINS.replace("n_estimators", "n_estimator"))
    (problem,) = parameter_problems(spec)
    assert problem.key == "families.random_forest.grid.n_estimator"
    assert "did you mean 'n_estimators'?" in problem.message
