"""Specs written from a look at the data."""

import gzip
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.datasets import load_spec
from common.datasets.drafting import complete_spec, draft_spec, init_spec, look_at
from common.datasets.parameters import parameter_problems
from common.datasets.parsing import parse_spec
from common.datasets.spec import CsvSource, ParquetSource
from common.errors import ConflictError, DataError, SourceUnavailableError
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
        ("a,b\n1,2\n1,4\n", "a", "'a' cannot be the target: it is always 1"),
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
    """Without anything to look at, the file that is missing is named."""
    path = folders[0] / "houses.toml"
    path.write_text(SMALLEST)
    with pytest.raises(DataError, match=r"there is no file 'houses\.csv' in .* to find the features in"):
        complete_spec(path, load_spec(path), folders[1])


def test_a_parameter_that_does_not_exist_is_told() -> None:
    """A slip in a parameter's name is found by asking the estimator."""
    spec = parse_spec("penguins", PENGUINS.replace("n_estimators", "n_estimator"))
    (problem,) = parameter_problems(spec)
    assert problem.key == "families.random_forest.grid.n_estimator"
    assert "did you mean 'n_estimators'?" in problem.message


TABLE: dict[str, list[Any]] = {
    "id": list(range(100)),
    "price": [at * 7 % 97 + 0.5 for at in range(100)],
    "rooms": [at % 5 or None for at in range(100)],
    "town": ["ABC"[at % 3] for at in range(100)],
    "garden": [at % 2 == 0 for at in range(100)],
    "built": [date(1990 + at % 9, 1, 1) for at in range(100)],
    "note": [f"text {at}" for at in range(100)],
    "empty": [None] * 100,
}
SOURCE = 'kind = "csv"\npath = "houses.csv"'
FOUND = (("rooms",), ("town", "garden", "built"))


@pytest.mark.parametrize("path", ["houses.parquet", "part_*.parquet"])
def test_features_are_found_in_parquet_files(folders: tuple[Path, Path], path: str) -> None:
    """Numbers by their type, everything else that can be written as text as a category; in several files as in one."""
    table = pa.table(TABLE | {"tags": [["x"]] * 100})
    pq.write_table(table, folders[1] / "houses.parquet")
    for part in range(4):
        pq.write_table(table.slice(part * 25, 25), folders[1] / f"part_{part}.parquet")
    spec = folders[0] / "houses.toml"
    spec.write_text(SMALLEST.replace(SOURCE, f'kind = "parquet"\npath = "{path}"'))
    found = complete_spec(spec, load_spec(spec), folders[1])
    assert (found.numeric, found.categorical) == FOUND
    text = spec.read_text()
    assert "Found in the first 100 rows" in text
    assert '#   "id": it counts the rows\n' in text
    assert "is neither a number nor a text\n" in text


def test_features_are_found_in_the_result_of_a_query(folders: tuple[Path, Path]) -> None:
    """The first rows of a query are looked at by the same rules; SQLite's file is relative to the data folder."""
    rows = list(zip(*(map(str, TABLE[name]) if name == "built" else TABLE[name] for name in TABLE), strict=True))
    with closing(sqlite3.connect(folders[1] / "theirs.db")) as database:
        database.execute("CREATE TABLE houses (id, price, rooms, town, garden, built, note, empty)")
        database.executemany("INSERT INTO houses VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        database.commit()
    spec = folders[0] / "houses.toml"
    query = 'kind = "sql"\nurl = "sqlite:///theirs.db"\nquery = "SELECT * FROM houses"'
    spec.write_text(SMALLEST.replace(SOURCE, query))
    found = complete_spec(spec, load_spec(spec), folders[1])
    assert (found.numeric, found.categorical) == (("rooms", "garden"), ("town", "built"))  # SQLite has no truth values


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ('kind = "sql"\nurl = "sqlite:///theirs.db"\nquery = "SELECT 1"', DataError, r"no file 'theirs\.db'"),
        ('kind = "sql"\nurl = "sqlite://"\nquery = "SELECT * FROM x"', DataError, "query fails: no such table: x"),
        ('kind = "sql"\nurl = "sqlite://"\nquery = "SELECT 1 WHERE 0"', DataError, "the query gives no row"),
        (
            'kind = "sql"\nurl = "postgresql+psycopg://a:b@127.0.0.1:9/c"\nquery = "SELECT 1"',
            SourceUnavailableError,
            "does not answer",
        ),
        ('kind = "parquet"\npath = "x.parquet"', DataError, "no file 'x.parquet'"),
        ('kind = "parquet"\npath = "no.parquet"', DataError, "is no Parquet file"),
        ('kind = "csv"\npath = "semicolon.csv"', DataError, "one column, 'price;rooms'; if ';' is between"),
        ('kind = "csv"\npath = "spaces.csv"', DataError, "there is no column 'price'; there are rooms, ' price'"),
        ('kind = "csv"\npath = "latin.csv"', DataError, "save it as UTF-8"),
    ],
)
def test_a_source_that_cannot_be_looked_at_is_told(
    folders: tuple[Path, Path], source: str, error: type[Exception], message: str
) -> None:
    """What is missing or wrong is named, and the spec stays as it is."""
    (folders[1] / "no.parquet").write_text("price,rooms\n")
    (folders[1] / "semicolon.csv").write_text("price;rooms\n1;2\n")
    (folders[1] / "spaces.csv").write_text("rooms, price\n1, 2\n")
    (folders[1] / "latin.csv").write_bytes(b"price,town\n1,caf\xe9\n")
    path = folders[0] / "houses.toml"
    path.write_text(SMALLEST.replace(SOURCE, source))
    before = path.read_text()
    with pytest.raises(error, match=message):
        complete_spec(path, load_spec(path), folders[1])
    assert path.read_text() == before


def test_columns_that_can_be_no_feature_are_left_out_with_the_reason(folders: tuple[Path, Path]) -> None:
    """Decimal commas, a name that is missing, there twice, or too long for PostgreSQL are told as that."""
    long = "x" * 64
    lines = [f"{at};{at % 7},5;{at % 3};{at % 4};{at % 5};{at % 8};{at % 6}" for at in range(40)]
    path = folders[1] / "x.csv"
    path.write_text(f';size;twice;twice;{long};"5"" disk";price\n' + "\n".join(lines) + "\n")
    look = look_at(path)
    assert {column.name: column.unfit for column in look.columns} == {
        "": "its name is empty",
        "size": "its numbers have a comma; write them with a point",
        "twice": "several columns have this name",
        long: "its name is longer than 63 bytes",
        '5" disk': "its name has a double quote, a backslash or a control character",
        "price": "",
    }
    with pytest.raises(DataError, match="no column is left"):
        look.features("price")
    with pytest.raises(DataError, match="'twice' cannot be the target: several columns"):
        look.column("twice")


@pytest.mark.parametrize("name", ["houses.csv.zst", "houses.parquet", "houses.pq"])
def test_a_spec_is_drafted_for_every_kind_of_file(folders: tuple[Path, Path], name: str) -> None:
    """A drafted spec names the kind of its file and is right as it is."""
    path = folders[1] / name
    if name.endswith(".zst"):
        with pa.output_stream(str(path), compression="zstd") as file:
            file.write(HOUSES_CSV.encode())
    else:
        pq.write_table(pa.table(TABLE), path)
    spec, _ = init_spec(path, "price", datasets_dir=folders[0], data_dir=folders[1])
    found = load_spec(spec)
    assert isinstance(found.source, CsvSource if name.endswith(".zst") else ParquetSource)
    assert (found.task, found.numeric) == ("regression", ("rooms",))


@pytest.mark.parametrize("name", ["houses.xlsx", "houses.json", "houses", "houses.parquet.gz"])
def test_a_file_of_another_kind_is_refused(folders: tuple[Path, Path], name: str) -> None:
    """The kinds that can be read are listed."""
    (folders[1] / name).write_text(HOUSES_CSV)
    with pytest.raises(DataError, match=r"a CSV file \(\.csv, .*\.gz.*\) or a Parquet file \(\.parquet, \.pq\)"):
        init_spec(folders[1] / name, "price", datasets_dir=folders[0], data_dir=folders[1])
