"""The rows of a query on somebody's database, streamed: the server keeps the result, we hold one batch."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from common.datasets.queries import open_query
from common.datasets.spec import DatasetSpec, SqlSource
from services.ingest.checks import SHOWN_ROWS, OffendingRow, RejectedError, wanted_columns

BATCH_ROWS = 20_000


def read(spec: DatasetSpec, source: SqlSource, data_dir: Path) -> Iterator[pa.RecordBatch]:
    """Runs the query in a transaction of its own and yields its rows.

    Raises what `open_query` does, and RejectedError where the rows do not fit.
    """
    with open_query(spec.name, source, data_dir, buffered_rows=BATCH_ROWS) as result:
        present = list(result.keys())
        names = wanted_columns(spec, present, of="the query's result")
        places = [present.index(name) for name in names]
        before = 0
        yield _batch(spec, names, places, [], before)
        for rows in result.partitions(BATCH_ROWS):
            yield _batch(spec, names, places, rows, before)
            before += len(rows)


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
    wrong = [at for at, value in enumerate(values) if not _is_number(value)]
    if wrong:
        rows = [OffendingRow(before + at + 1, name, str(values[at])[:80]) for at in wrong[:SHOWN_ROWS]]
        raise RejectedError(
            f"column {name} is to be numeric, but holds {values[wrong[0]]!r} in row {rows[0].row}", rows
        )
    return [None if value is None else float(value) for value in values]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal | None) and not isinstance(value, bool)
