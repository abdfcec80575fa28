"""Where rows come from: every kind of source as one stream of typed Arrow batches, in flat memory.

A batch has the spec's columns in the order of the source: numbers as float64, categories as text, null where a value
is missing. What cannot be read as that is a RejectedError; with the rows that are to blame where they are known.
pandas and seaborn are imported for a seaborn source only: they cost seconds and a hundred megabytes.
"""

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from common.datasets.files import source_files
from common.datasets.heads import is_numeric
from common.datasets.spec import CsvSource, DatasetSpec, SeabornSource, SqlSource
from common.errors import SourceUnavailableError
from services.ingest import csv_files, queries
from services.ingest.checks import SHOWN_ROWS, OffendingRow, RejectedError, how_to_write, is_number, wanted_columns

BATCH_ROWS = 50_000


def open_batches(spec: DatasetSpec, data_dir: Path) -> Generator[pa.RecordBatch]:
    """The rows of a data set. Blocking; the first batch is there even where there are no rows.

    Raises RejectedError where there is nothing to read or it does not fit, SourceUnavailableError where it may later.
    """
    source = spec.source
    if isinstance(source, SqlSource):
        yield from queries.read(spec, source, data_dir)
        return
    if isinstance(source, SeabornSource):
        yield from conformed(spec, _seaborn(source.name, data_dir))
        return
    paths = source_files(spec, data_dir)
    if not paths:
        raise RejectedError(f"there is no file {source.path!r} in {data_dir}")
    if isinstance(source, CsvSource):
        yield from csv_files.read(spec, source, paths)
        return
    yield from _parquet(spec, paths)


def _seaborn(name: str, data_dir: Path) -> Iterator[pa.RecordBatch]:
    import seaborn as sns

    try:
        frame = sns.load_dataset(name, data_home=str(data_dir), cache=True)
    except OSError as error:  # no such file, and no network to get it from
        raise SourceUnavailableError(
            f"there is no {name}.csv in {data_dir}, and seaborn cannot get it: {error}"
        ) from error
    except IndexError as error:  # seaborn looks at the last row
        raise RejectedError(f"there is no row in {name}.csv") from error
    except (ValueError, LookupError, AttributeError) as error:  # no CSV, or not the columns that seaborn knows it by
        raise RejectedError(f"seaborn cannot read {name}.csv: {error!r}") from error
    table = pa.Table.from_pandas(frame, preserve_index=False)
    yield pa.RecordBatch.from_arrays([_whole(column) for column in table.columns], table.schema.names)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _parquet(spec: DatasetSpec, paths: list[Path]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    before = 0
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                names = wanted_columns(spec, file.schema_arrow.names, of=path.name)
                for batch in conformed(spec, file.iter_batches(batch_size=BATCH_ROWS, columns=names), before):
                    yield batch
                    before += batch.num_rows
        except pa.ArrowException as error:
            raise RejectedError(f"{path.name} is no Parquet file that can be read: {error}") from error


def conformed(spec: DatasetSpec, batches: Iterable[pa.RecordBatch], before: int = 0) -> Iterator[pa.RecordBatch]:
    """Batches of any types as batches of the two types that a snapshot has; `before` rows went by earlier."""
    for batch in batches:
        names = wanted_columns(spec, batch.schema.names, of="the source")
        arrays = [
            _number(name, batch.column(name), before) if name in spec.numbers else _text(name, batch.column(name))
            for name in names
        ]
        yield pa.RecordBatch.from_arrays(arrays, names)
        before += batch.num_rows


def _number(name: str, array: pa.Array, before: int) -> pa.Array:
    if not is_numeric(array.type):
        raise _no_numbers(name, array, before)
    numbers = pc.cast(array, pa.float64(), safe=False)
    # pandas and numpy have no other null than NaN
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers)


def _no_numbers(name: str, array: pa.Array, before: int) -> RejectedError:
    """The rejection of a column of another type, with its first values: those that do not even look like numbers."""
    values = [(at, str(value)) for at, value in enumerate(array.to_pylist(), start=before + 1) if value is not None]
    strange = [(at, value) for at, value in values if not is_number(value)] or values
    rows = [OffendingRow(at, name, value[:80]) for at, value in strange[:SHOWN_ROWS]]
    kind = "text" if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) else array.type
    example = f" such as {rows[0].value!r} in row {rows[0].row}{how_to_write(rows[0].value)}" if rows else ""
    return RejectedError(f"column {name} is to be numeric, but the source has {kind} there{example}", rows)


def _text(name: str, array: pa.Array) -> pa.Array:
    try:
        return pc.cast(array, pa.string())
    except pa.ArrowException as error:
        raise RejectedError(
            f"column {name} is to be categorical, but {array.type} cannot be written as text"
        ) from error
