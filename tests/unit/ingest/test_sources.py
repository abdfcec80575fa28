"""Every kind of source as the same stream of typed batches, and what is wrong with one, told with its rows."""

import bz2
import gzip
import lzma
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy.exc import DBAPIError

from common.datasets import DatasetSpec, parse_spec
from common.datasets.queries import is_of_the_query
from common.datasets.spec import CsvSource, ParquetSource, SqlSource
from common.errors import DataError, SettingsError, SourceUnavailableError
from services.ingest.checks import RejectedError
from services.ingest.sources import open_batches
from tests.specs import HOUSES

SPEC = parse_spec("houses", HOUSES)
ROWS = [{"town": "A", "rooms": 1.5, "price": 10.0}, {"town": None, "rooms": None, "price": 2.0}]
CSV = "town,id,rooms,price\nA,1,1.5,10\n,2,NA,2\n"


def read(source: Any, folder: Path, spec: DatasetSpec = SPEC) -> list[dict[str, Any]]:
    """All rows of a source."""
    batches = list(open_batches(msgspec.structs.replace(spec, source=source), folder))
    assert all(batch.schema.field(name).type == pa.float64() for batch in batches for name in ("rooms", "price"))
    assert all(batch.schema.field("town").type == pa.string() for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", bytes),
    ],
)
def test_a_csv_file_is_read_compressed_or_not(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    """Only the spec's columns come, in the file's order, typed, with null for what is missing."""
    if suffix == ".zst":
        with pa.output_stream(str(tmp_path / "h.csv.zst"), compression="zstd") as file:
            file.write(CSV.encode())
    else:
        (tmp_path / f"h.csv{suffix}").write_bytes(compress(CSV.encode()))
    rows = read(CsvSource(path=f"h.csv{suffix}"), tmp_path)
    assert rows == ROWS
    assert list(rows[0]) == ["town", "rooms", "price"]


def test_a_delimiter_quotes_and_a_byte_order_mark_are_understood(tmp_path: Path) -> None:
    """Semicolons, quoted line breaks and the mark that spreadsheets write change nothing."""
    (tmp_path / "h.csv").write_text('\ufefftown;rooms;price\n"A;\n""x""";1.5;10\n', encoding="utf-8")
    assert read(CsvSource(path="h.csv", delimiter=";"), tmp_path) == [{"town": 'A;\n"x"', "rooms": 1.5, "price": 10.0}]


def test_a_glob_is_read_as_one_table(tmp_path: Path) -> None:
    """Several files follow one another in the order of their names; rows are counted through."""
    (tmp_path / "h1.csv").write_text(CSV)
    (tmp_path / "h2.csv").write_text(CSV)
    assert read(CsvSource(path="h*.csv"), tmp_path) == ROWS * 2
    (tmp_path / "h3.csv").write_text("town,id,rooms,price\nA,1,two,10\n")
    with pytest.raises(RejectedError, match="holds 'two' in row 5"):
        read(CsvSource(path="h*.csv"), tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read as CSV: Empty CSV file"),
        ("town,rooms\nA,1\n", "column price missing in h.csv; it has town, rooms"),
        ("town, rooms,price\nA,1,2\n", "column rooms missing in h.csv; it has town, ' rooms', price"),
        ("town,rooms,price,price\nA,1,2,3\n", "column price is there twice"),
        ("town,rooms,price\nA,1,2\nB,3\n", "a row of 2 fields where the header has 3: 'B,3'"),
        ("town,rooms,price\nA,true,2\n", "column rooms is to be numeric, but holds 'true' in row 1"),
        ("town,rooms,price\nA,1,2\nB,x,y\n", "column price is to be numeric, but holds 'y' in row 2"),
        ("town,rooms,price\nA,1_000,2\n", "holds '1_000'"),
    ],
)
def test_what_is_wrong_in_a_csv_file_is_told(tmp_path: Path, content: str, message: str) -> None:
    """Structure, columns and values: the sentence names what and where."""
    (tmp_path / "h.csv").write_text(content)
    with pytest.raises(RejectedError, match=message):
        read(CsvSource(path="h.csv"), tmp_path)


def test_a_few_offending_rows_are_told_and_no_more(tmp_path: Path) -> None:
    """Of many wrong values the first five come with the reason, wherever in a large file they are."""
    lines = [f"A,{'x' if at > 90_000 else at},1" for at in range(1, 100_001)]
    (tmp_path / "h.csv").write_text("town,rooms,price\n" + "\n".join(lines) + "\n")
    with pytest.raises(RejectedError) as caught:
        read(CsvSource(path="h.csv"), tmp_path)
    assert [row.row for row in caught.value.rows] == [90_001, 90_002, 90_003, 90_004, 90_005]


@pytest.mark.parametrize(
    "content", [b"town,rooms,price\n\xff\xfe,1,2\n", gzip.compress(CSV.encode())[:-20]], ids=["latin", "cut off"]
)
def test_damaged_bytes_are_rejected(tmp_path: Path, content: bytes) -> None:
    """Text that is no UTF-8, and a compressed file that was cut off, are told as that."""
    name = "h.csv.gz" if content.startswith(b"\x1f") else "h.csv"
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RejectedError, match="cannot be read as CSV"):
        read(CsvSource(path=name), tmp_path)


def test_a_file_that_is_not_there_is_rejected(tmp_path: Path) -> None:
    """The path that was looked for is named."""
    with pytest.raises(RejectedError, match=r"no file 'h\.csv'"):
        read(CsvSource(path="h.csv"), tmp_path)


def test_a_parquet_file_is_read(tmp_path: Path) -> None:
    """Integers, decimals and dictionaries become the two types, NaN becomes null."""
    table = pa.table(
        {
            "town": pa.array(["A", None]).dictionary_encode(),
            "rooms": pa.array([1.5, float("nan")]),
            "price": pa.array([10, 2]),
        }
    )
    pq.write_table(table, tmp_path / "h.parquet")
    assert read(ParquetSource(path="*.parquet"), tmp_path) == ROWS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1", None, "x", "y"], "rooms is to be numeric, but the source has text there such as 'x' in row 5"),
        (["1", None, "2", "3"], "rooms is to be numeric, but the source has text there such as '1' in row 3"),
        (["1,5"] * 4, "text there such as '1,5' in row 3; write numbers without commas"),
        ([True] * 4, "but the source has bool there such as 'True' in row 3"),
    ],
)
def test_a_parquet_column_of_another_type_is_rejected(tmp_path: Path, values: list[Any], message: str) -> None:
    """Text and truth values are no numbers; the first values are told with their rows, counted through all files."""
    good = pa.table({"town": ["A", "A"], "rooms": [1, 2], "price": [1, 2]})
    pq.write_table(good, tmp_path / "1.parquet")
    pq.write_table(pa.table({"town": ["A"] * 4, "rooms": values, "price": [1] * 4}), tmp_path / "2.parquet")
    with pytest.raises(RejectedError, match=message) as caught:
        read(ParquetSource(path="*.parquet"), tmp_path)
    assert [row.column for row in caught.value.rows][:1] == ["rooms"]
    assert f"in row {caught.value.rows[0].row}" in caught.value.message


def test_a_column_of_text_is_rejected_with_its_first_rows(tmp_path: Path, database: str) -> None:
    """Where all of a column is of another type, the first five values tell, in a file as in a query."""
    words = ["one", "two", "three", "four", "five", "six"]
    (tmp_path / "h.csv").write_text("town,rooms,price\n" + "".join(f"A,{word},1\n" for word in words))
    pq.write_table(pa.table({"town": ["A"] * 6, "rooms": words, "price": [1] * 6}), tmp_path / "h.parquet")
    query = " UNION ALL ".join(f"SELECT 'A' AS town, '{word}' AS rooms, 1 AS price" for word in words)
    for source in (CsvSource(path="h.csv"), ParquetSource(path="h.parquet"), SqlSource(query=query, url=database)):
        with pytest.raises(RejectedError) as caught:
            read(source, tmp_path)
        assert [(row.row, row.value) for row in caught.value.rows] == list(enumerate(words[:5], start=1))


@pytest.mark.parametrize("value", ["1,5", "-1,234.5"])
def test_a_comma_in_a_number_is_told_as_that(tmp_path: Path, value: str) -> None:
    """A number with a decimal comma, or with thousands set apart, is rejected with what to do about it."""
    (tmp_path / "h.csv").write_text(f"town;rooms;price\nA;{value};2\n")
    with pytest.raises(RejectedError, match=f"holds '{value}' in row 1; write numbers without commas, such as 1234.5"):
        read(CsvSource(path="h.csv", delimiter=";"), tmp_path)


def test_what_is_no_parquet_is_rejected(tmp_path: Path) -> None:
    """A file of another kind under that name is told."""
    (tmp_path / "h.parquet").write_text(CSV)
    with pytest.raises(RejectedError, match="no Parquet file"):
        read(ParquetSource(path="h.parquet"), tmp_path)


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of somebody's SQLite database with a table of houses."""
    connection = sqlite3.connect(tmp_path / "theirs.db")
    connection.execute("CREATE TABLE houses (town, rooms, price)")
    connection.executemany("INSERT INTO houses VALUES (?, ?, ?)", [("A", 1.5, 10), (None, None, 2)])
    connection.commit()
    connection.close()
    return f"sqlite:///{tmp_path}/theirs.db"


QUERY = "SELECT town, rooms, price FROM houses ORDER BY rowid"


def test_a_query_is_read_from_any_database(tmp_path: Path, database: str) -> None:
    """The rows of a query come typed; the URL may stand in a file of its own."""
    assert read(SqlSource(query=QUERY, url=database), tmp_path) == ROWS
    (tmp_path / "url").write_text(database + "\n")
    assert read(SqlSource(query=QUERY, url_file="url"), tmp_path) == ROWS


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("SELECT town, rooms FROM houses", RejectedError, "column price missing in the query's result"),
        (
            "SELECT town, 'x' AS rooms, price FROM houses",
            RejectedError,
            "rooms is to be numeric, but holds 'x' in row 1",
        ),
        ("SELECT * FROM villages", DataError, "the query fails: no such table: villages"),
        ("SELECT village FROM houses", DataError, "the query fails: no such column: village"),
        ("SELEC town", DataError, "syntax error"),
    ],
)
def test_what_is_wrong_with_a_query_is_told(
    tmp_path: Path, database: str, query: str, error: type[Exception], message: str
) -> None:
    """Columns, values and the database's own words."""
    with pytest.raises(error, match=message):
        read(SqlSource(query=query, url=database), tmp_path)


@pytest.mark.parametrize("url", ["nonsense", "oracle99://x"])
def test_a_url_that_cannot_be_used_is_a_wrong_setting(tmp_path: Path, url: str) -> None:
    """A URL without a known driver is told as that, and a missing file of one too."""
    with pytest.raises(SettingsError, match="cannot be used"):
        read(SqlSource(query="SELECT 1", url=url), tmp_path)
    with pytest.raises(SettingsError, match="cannot be read"):
        read(SqlSource(query="SELECT 1", url_file="ghost"), tmp_path)


def test_a_database_that_is_away_may_come_back(tmp_path: Path, database: str) -> None:
    """A server that refuses, and a file that another has locked, are worth another try; a file of nonsense is not."""
    away = SqlSource(query="SELECT 1", url="postgresql+psycopg://reader:secret@127.0.0.1:9/theirs")
    with pytest.raises(SourceUnavailableError, match="database of data set 'houses' does not answer") as caught:
        read(away, tmp_path)
    assert "secret" not in caught.value.message
    with closing(sqlite3.connect(tmp_path / "theirs.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceUnavailableError, match="locked"):
            read(SqlSource(query=QUERY, url=f"{database}?timeout=0"), tmp_path)
    (tmp_path / "no.db").write_text(CSV * 100)
    with pytest.raises(DataError, match="file is not a database"):
        read(SqlSource(query=QUERY, url="sqlite:///no.db"), tmp_path)
    with pytest.raises(DataError, match=r"there is no file 'ghost\.db'"):
        read(SqlSource(query=QUERY, url="sqlite:///ghost.db"), tmp_path)
    assert not (tmp_path / "ghost.db").exists()


@pytest.mark.parametrize(
    ("code", "to_blame"), [("42P01", True), ("42703", True), ("28P01", True), ("57P03", False), ("08006", False)]
)
def test_a_code_says_whether_the_query_is_to_blame(code: str, to_blame: bool) -> None:
    """A missing table or a wrong password stays wrong; a server that is starting up does not."""
    original = Exception("as the driver says it")
    original.sqlstate = code  # type: ignore[attr-defined]  # as psycopg's have it
    assert is_of_the_query(DBAPIError("SELECT 1", None, original)) is to_blame
