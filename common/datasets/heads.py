"""The first rows of a source, column by column: text, numbers, and None for a gap, as a snapshot would type them.

What reads Parquet or asks a database is imported when there is such a source: the command line starts without it.
"""

import bz2
import csv
import gzip
import io
import lzma
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from common.datasets.spec import SqlSource
from common.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Number = float
Value = str | Number

# What stands for "no value" in a CSV file: pandas's list.
NULLS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
# Compressions that Arrow knows, and Python not, by the end of a file's name.
ARROW_CODECS = {".zst": "zstd", ".lz4": "lz4", ".br": "brotli"}
LOOKED_ROWS = 10_000
# Of a very wide table fewer rows are looked at, so that a look takes a few megabytes.
LOOKED_CELLS = 1_000_000
_DELIMITERS = ",;\t|"
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_DIGITS = re.compile(r"[+-]?\d+")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first rows. `unfit` says of columns why they can be no feature, where their type alone tells."""

    names: tuple[str, ...]
    columns: tuple[list[Value | None], ...]
    unfit: dict[str, str] = {}
    delimiter: str = ""


def rows_to_look_at(columns: int) -> int:
    """How many rows of a table with so many columns are looked at."""
    return max(100, min(LOOKED_ROWS, LOOKED_CELLS // max(1, columns)))


def head_of_csv(paths: Sequence[Path], delimiter: str = "") -> Head:
    """The first rows of CSV files, one after the other; a delimiter that is not given is found in the first line.

    Raises DataError where one is no CSV file with a header and a row.
    """
    header: list[str] = []
    table: list[list[str]] = []
    for path in paths:
        with _csv(path) as file:
            first = file.readline()
            delimiter = delimiter or max(_DELIMITERS, key=first.count)
            lines = csv.reader(chain([first], file), delimiter=delimiter)
            names = next(lines, [])
            header = header or names
            if names != header:
                break  # what differs is for the one that reads them all
            other = max(_DELIMITERS, key=first.count)
            if len(names) == 1 and other in first:
                raise DataError(f"{path} has one column, {names[0]!r}; if {other!r} is between columns, set delimiter")
            for number, line in enumerate(islice(lines, rows_to_look_at(len(header)) - len(table)), start=1):
                if line and len(line) != len(header):
                    raise DataError(f"{path}: row {number} has {len(line)} fields, the header {len(header)}")
                table += [line] if line else []
        if not header:
            raise DataError(f"{path} has no header")
    if not table:
        raise DataError(f"{paths[0]} has no row")
    texts = [[None if line[at] in NULLS else line[at] for line in table] for at in range(len(header))]
    unfit = {
        name: "its numbers have a comma; write them with a point"
        for name, column in zip(header, texts, strict=True)
        if _commas(column)
    }
    return Head(names=tuple(header), columns=tuple(map(_numbers_if_all_are, texts)), unfit=unfit, delimiter=delimiter)


@contextmanager
def _csv(path: Path) -> Iterator[IO[str]]:
    """The file's text, decompressed by what its name ends in; a byte-order mark is no part of it."""
    try:
        with (
            _opened(path) as file,
            io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
        ):
            yield text
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be read as CSV: it is no UTF-8 ({error.reason}); save it as UTF-8") from error
    except (csv.Error, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _opened(path: Path) -> Any:
    if path.suffix in ARROW_CODECS:
        import pyarrow as pa

        return pa.input_stream(str(path), compression=ARROW_CODECS[path.suffix])
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    return openers.get(path.suffix, open)(path, "rb")


def _numbers_if_all_are(texts: list[str | None]) -> list[Value | None]:
    numbers: list[Value | None] = [None if text is None else _number(text) for text in texts]
    return [*texts] if any(n is None and t is not None for n, t in zip(numbers, texts, strict=True)) else numbers


def _number(text: str) -> float | None:
    try:
        return float(text) if text.isascii() and "_" not in text else None  # Python's own way to write a thousand
    except ValueError:
        return None


def _commas(texts: Sequence[str | None]) -> bool:
    """Whether a column holds numbers as they are written with a decimal comma."""
    present = [text for text in texts if text is not None]
    commas = sum(_DECIMAL_COMMA.fullmatch(text) is not None for text in present)
    return commas > 0 and all(_DECIMAL_COMMA.fullmatch(text) or _DIGITS.fullmatch(text) for text in present)


def head_of_parquet(paths: Sequence[Path]) -> Head:
    """The first rows of Parquet files, one after the other. Raises DataError where one is none, or there is no row."""
    batches = list(_first_batches(paths))
    if not any(batch.num_rows for batch in batches):
        raise DataError(f"{paths[0]} has no row")
    names = batches[0].schema.names
    columns, unfit = [], {}
    for at, name in enumerate(names):
        values: list[Value | None] = []
        for array in (batch.column(at) for batch in batches):
            typed = _typed(array)
            if typed is None:
                unfit[name] = f"{array.type} is neither a number nor a text"
            values += typed if typed is not None else [None] * len(array)
        columns.append(values)
    return Head(names=tuple(names), columns=tuple(columns), unfit=unfit)


def _first_batches(paths: Sequence[Path]) -> "Iterator[pa.RecordBatch]":
    """As many rows as are looked at, of files with the same columns; one with others is for who reads them all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names: list[str] = []
    missing = 1
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                if names and file.schema_arrow.names != names:
                    return
                missing = missing if names else rows_to_look_at(len(file.schema_arrow.names))
                names = file.schema_arrow.names
                for batch in file.iter_batches(batch_size=missing):
                    yield batch.slice(0, missing)
                    missing -= batch.num_rows
                    if missing <= 0:
                        return
        except pa.ArrowException as error:
            raise DataError(f"{path} is no Parquet file that can be read: {error}") from error
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error}") from error


def _typed(array: "pa.Array") -> list[Value | None] | None:
    """The values of an Arrow array; None where they are neither numbers nor can be written as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if is_numeric(array.type):
        return [
            None if value is None or math.isnan(value) else value
            for value in pc.cast(array, pa.float64(), safe=False).to_pylist()
        ]
    try:
        return list(pc.cast(array, pa.string()).to_pylist())
    except pa.ArrowException:
        return None


def is_numeric(kind: "pa.DataType") -> bool:
    """Whether a column of Arrow's is one of numbers; one of nulls alone may be."""
    import pyarrow as pa

    types = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(is_one(kind) for is_one in types)


def head_of_query(dataset: str, source: SqlSource, data_dir: Path) -> Head:
    """The first rows of a query. Raises what `queries.open_query` does, and DataError where there is no row."""
    from common.datasets.queries import open_query

    with open_query(dataset, source, data_dir, buffered_rows=LOOKED_ROWS) as result:
        names = tuple(result.keys())
        rows = result.fetchmany(rows_to_look_at(len(names)))
    if not rows:
        raise DataError("the query gives no row")
    return Head(names=names, columns=tuple([_value(row[at]) for row in rows] for at in range(len(names))))


def _value(value: object) -> Value | None:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return None if math.isnan(value) else float(value)
    return None if value is None else str(value)
