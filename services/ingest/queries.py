"""The rows of a query on somebody's database, streamed: the server keeps the result, we hold one batch."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from common.datasets.spec import DatasetSpec, SqlSource
from common.errors import SettingsError, SourceUnavailableError
from services.ingest.checks import OffendingRow, RejectedError, wanted_columns

BATCH_ROWS = 20_000


def read(spec: DatasetSpec, source: SqlSource, data_dir: Path) -> Iterator[pa.RecordBatch]:
    """Runs the query in a transaction of its own and yields its rows.

    Raises SourceUnavailableError where the database does not answer, RejectedError where the query is wrong or its
    rows do not fit, SettingsError where the URL cannot be had.
    """
    try:
        engine = create_engine(make_url(_url(source, data_dir)))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise SettingsError(f"the URL of data set {spec.name!r} cannot be used: {error}") from error
    try:
        with engine.connect() as connection:
            result = connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS).execute(
                text(source.query)
            )
            present = list(result.keys())
            names = wanted_columns(spec, present, of="the query's result")
            places = [present.index(name) for name in names]
            before = 0
            yield _batch(spec, names, places, [], before)
            for rows in result.partitions(BATCH_ROWS):
                yield _batch(spec, names, places, rows, before)
                before += len(rows)
    except DBAPIError as error:
        if error.connection_invalidated or "OperationalError" in type(error).__name__:
            raise SourceUnavailableError(f"the database of data set {spec.name!r}: {error.orig}") from error
        raise RejectedError(f"the query fails: {error.orig}") from error
    finally:
        engine.dispose()


def _url(source: SqlSource, data_dir: Path) -> str:
    if not source.url_file:
        return source.url
    path = data_dir / source.url_file
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"url_file {path} cannot be read: {error.strerror}") from error


def _batch(
    spec: DatasetSpec, names: list[str], places: list[int], rows: Sequence[Sequence[Any]], before: int
) -> pa.RecordBatch:
    arrays = []
    for name, place in zip(names, places, strict=True):
        values = [row[place] for row in rows]
        if name in spec.numbers:
            arrays.append(pa.array(_numbers(name, values, before), pa.float64(), from_pandas=True))
        else:
            arrays.append(pa.array([None if value is None else str(value) for value in values], pa.string()))
    return pa.RecordBatch.from_arrays(arrays, names)


def _numbers(name: str, values: list[Any], before: int) -> list[float | None]:
    numbers: list[float | None] = []
    for at, value in enumerate(values, start=before + 1):
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | None):
            rows = [OffendingRow(at, name, str(value)[:80])]
            raise RejectedError(f"column {name} is to be numeric, but holds {value!r} in row {at}", rows)
        numbers.append(None if value is None else float(value))
    return numbers
