"""A look at a CSV file: what its columns hold, as far as its first rows tell. Standard library only.

It is a first guess for a person to correct, and the rules are simple for that: what is all numbers is numeric, what
repeats is a category, what does not is left out, with the reason.
"""

import bz2
import csv
import gzip
import lzma
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Literal

import msgspec

from common.errors import DataError

# What stands for "no value": pandas's list.
NULLS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
LOOKED_ROWS = 10_000
FEW = 20
# More values than this, or more than half of the rows, and a text is no category.
MOST_CATEGORIES = 200
_DELIMITERS = ",;\t|"


class ColumnLook(msgspec.Struct, frozen=True, kw_only=True):
    """What a column holds in the rows looked at; `unfit` says why it is no feature, empty if it is one."""

    name: str
    kind: Literal["numeric", "categorical"]
    values: int
    missing: int
    unfit: str = ""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds: its columns, and how many of the rows looked at have a gap."""

    delimiter: str
    rows: int
    rows_with_gaps: int
    columns: tuple[ColumnLook, ...]

    def column(self, name: str) -> ColumnLook:
        """One of the columns. Raises DataError, which lists them all, where there is no such one."""
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise DataError(f"there is no column {name!r}; there are {', '.join(c.name for c in self.columns)}")
        return found

    def features(self, target: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The numeric and the categorical features for a target."""
        fit = [column for column in self.columns if column.name != target and not column.unfit]
        return (
            tuple(column.name for column in fit if column.kind == "numeric"),
            tuple(column.name for column in fit if column.kind == "categorical"),
        )


def look_at(path: Path, *, rows: int = LOOKED_ROWS) -> Look:
    """Looks at the first rows. Raises DataError where it is no CSV file with a header and a row."""
    try:
        with _opened(path) as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            lines = csv.reader(file, delimiter=delimiter)
            header = next(lines, [])
            table = [line for line in islice(lines, rows) if line]
    except (UnicodeDecodeError, csv.Error, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not header or not table:
        raise DataError(f"{path} has no {'row' if header else 'header'}")
    ragged = next((at for at, line in enumerate(table, start=1) if len(line) != len(header)), None)
    if ragged is not None:
        raise DataError(f"{path}: row {ragged} has {len(table[ragged - 1])} fields, the header {len(header)}")
    columns = tuple(_look(name, [line[at] for line in table]) for at, name in enumerate(header))
    used = [at for at, column in enumerate(columns) if not column.unfit]
    gaps = sum(any(line[at] in NULLS for at in used) for line in table)
    return Look(delimiter=delimiter, rows=len(table), rows_with_gaps=gaps, columns=columns)


def _look(name: str, values: Sequence[str]) -> ColumnLook:
    present = [value for value in values if value not in NULLS]
    distinct = set(present)
    kind: Literal["numeric", "categorical"] = "numeric" if present and all(map(_is_number, distinct)) else "categorical"
    unfit = ""
    if not present:
        unfit = "it is empty"
    elif len(distinct) == 1:
        unfit = f"it is always {present[0]!r}"
    elif kind == "categorical" and len(distinct) > FEW and len(distinct) > len(present) / 2:
        unfit = "hardly a value repeats: an identifier or a text"
    elif kind == "categorical" and len(distinct) > MOST_CATEGORIES:
        unfit = f"it has more than {MOST_CATEGORIES} different values"
    elif kind == "numeric" and len(distinct) == len(values) > FEW and _counts_up(present):
        unfit = "it counts the rows"
    return ColumnLook(name=name, kind=kind, values=len(distinct), missing=len(values) - len(present), unfit=unfit)


def _counts_up(values: Sequence[str]) -> bool:
    first = float(values[0])
    return all(float(value) == first + at for at, value in enumerate(values))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python's own way to write a thousand


def _delimiter(first_line: str) -> str:
    return max(_DELIMITERS, key=first_line.count)


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """The file's text, decompressed by what its name ends in; a byte-order mark is no part of it."""
    openers = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    opener = openers.get(path.suffix, open)
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:  # type: ignore[operator]  # of the same shape
        yield file
