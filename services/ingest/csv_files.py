"""CSV files as typed batches, compressed or not, in flat memory; and which rows are wrong where one is."""

import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from common.datasets.heads import ARROW_CODECS, NULLS
from common.datasets.spec import CsvSource, DatasetSpec
from services.ingest.checks import SHOWN_ROWS, OffendingRow, RejectedError, how_to_write, is_number, wanted_columns

BLOCK_BYTES = 1 << 20
CODECS = {".gz": "gzip", ".bz2": "bz2", **ARROW_CODECS}


def read(spec: DatasetSpec, source: CsvSource, paths: list[Path]) -> Iterator[pa.RecordBatch]:
    """The rows of files with the same columns, one file after the other.

    Raises RejectedError for what is no CSV, lacks a column, or holds a value of another type.
    """
    first: list[str] = []
    before = 0
    for path in paths:
        names = wanted_columns(spec, header(path, source), of=path.name)
        if first and names != first:
            raise RejectedError(f"{path.name} has the columns in another order than {paths[0].name}")
        first = names
        for batch in _typed(spec, source, path, names, before):
            before += batch.num_rows
            yield batch


def header(path: Path, source: CsvSource) -> list[str]:
    """The names in the first line of a file. Raises RejectedError where there is none."""
    with _reading(path, source, pacsv.ConvertOptions(), "skip") as batches:
        names: list[str] = batches.schema.names
        return names


def _typed(spec: DatasetSpec, source: CsvSource, path: Path, names: list[str], before: int) -> Iterator[pa.RecordBatch]:
    options = pacsv.ConvertOptions(
        column_types={name: pa.float64() if name in spec.numbers else pa.string() for name in names},
        include_columns=names,
        null_values=NULLS,
        strings_can_be_null=True,
        true_values=[],
        false_values=[],
    )
    try:
        with _reading(path, source, options, "error") as batches:
            yield from batches
    except RejectedError as error:
        wrong = list(_wrong_numbers(spec, source, path, before))
        if not wrong:
            raise
        first = wrong[0]
        raise RejectedError(
            f"column {first.column} is to be numeric, but holds {first.value!r} in row {first.row}"
            f"{how_to_write(first.value)}",
            wrong,
        ) from error


def _wrong_numbers(spec: DatasetSpec, source: CsvSource, path: Path, before: int) -> Iterator[OffendingRow]:
    """The first few values that are no numbers, found by a second look at the file, in which all is text."""
    numbers = [name for name in header(path, source) if name in spec.numbers]
    options = pacsv.ConvertOptions(
        column_types=dict.fromkeys(numbers, pa.string()),
        include_columns=numbers,
        null_values=NULLS,
        strings_can_be_null=True,
    )
    found = 0
    with _reading(path, source, options, "skip") as batches:
        for batch in batches:
            rows = sorted((at, name) for name in numbers for at in _no_numbers(batch.column(name)))
            for at, name in rows[: SHOWN_ROWS - found]:
                yield OffendingRow(before + at + 1, name, batch.column(name)[at].as_py()[:80])
            found += len(rows)
            before += batch.num_rows
            if found >= SHOWN_ROWS:
                return


def _no_numbers(texts: pa.Array) -> list[int]:
    try:
        pc.cast(pc.utf8_trim_whitespace(texts), pa.float64())
    except pa.ArrowInvalid:
        return [at for at, text in enumerate(texts.to_pylist()) if text is not None and not is_number(text)]
    return []


@contextmanager
def _reading(
    path: Path, source: CsvSource, options: pacsv.ConvertOptions, at_ragged_row: str
) -> Iterator[pacsv.CSVStreamingReader]:
    """The file as a stream of batches; what Arrow says against it is a RejectedError."""
    ragged: list[Any] = []

    def handle(row: Any) -> str:
        ragged.append(row)
        return at_ragged_row

    parsing = pacsv.ParseOptions(delimiter=source.delimiter, newlines_in_values=True, invalid_row_handler=handle)
    reading = pacsv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    try:
        with _opened(path) as file, pacsv.open_csv(file, reading, parsing, options) as batches:
            yield batches
    except (pa.ArrowException, UnicodeDecodeError, lzma.LZMAError, EOFError) as error:
        if ragged and at_ragged_row == "error":
            row = ragged[0]
            raise RejectedError(
                f"{path.name} has a row of {row.actual_columns} fields where the header has {row.expected_columns}: "
                f"{row.text[:80]!r}"
            ) from error
        raise RejectedError(f"{path.name} cannot be read as CSV: {error}") from error
    except OSError as error:
        if error.errno is not None:  # the disk's, not the content's
            raise
        raise RejectedError(f"{path.name} cannot be read as CSV: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[pa.NativeFile]:
    """The file's bytes, decompressed by what its name ends in."""
    if path.suffix == ".xz":
        with lzma.open(path) as file, pa.PythonFile(file, "r") as stream:
            yield stream
        return
    with pa.input_stream(str(path), compression=CODECS.get(path.suffix)) as stream:
        yield stream
