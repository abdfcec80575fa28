"""A look at a source: what its columns hold, as far as its first rows tell.

It is a first guess for a person to correct, and the rules are simple for that: what is all numbers is numeric, what
repeats is a category, what does not is left out, with the reason. They are the same for files and for queries.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from common.datasets.checking import name_problem, names_listed
from common.datasets.heads import Head, Number, Value
from common.errors import DataError

FEW = 20
# More values than this, or more than half of the rows, and a text is no category.
MOST_CATEGORIES = 200


class ColumnLook(msgspec.Struct, frozen=True, kw_only=True):
    """What a column holds in the rows looked at; `unfit` says why it is no feature, empty if it is one."""

    name: str
    kind: Literal["numeric", "categorical"]
    values: int
    missing: int
    unfit: str = ""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a source holds: its columns, and how many of the rows looked at have a gap. `delimiter`: of a CSV file."""

    delimiter: str = ""
    rows: int
    rows_with_gaps: int
    columns: tuple[ColumnLook, ...]

    def column(self, name: str) -> ColumnLook:
        """One of the columns. Raises DataError, which lists them all, where there is no such one."""
        found = [column for column in self.columns if column.name == name]
        if not found:
            raise DataError(f"there is no column {name!r}; there are {names_listed(c.name for c in self.columns)}")
        if len(found) > 1:
            raise DataError(f"{name!r} cannot be the target: {found[0].unfit}")
        return found[0]

    def features(self, target: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The numeric and the categorical features for a target. Raises DataError where there are none."""
        fit = [column for column in self.columns if column.name != target and not column.unfit]
        if not fit:
            reasons = "; ".join(f"{c.name}: {c.unfit}" for c in self.columns if c.name != target) or "there is no other"
            raise DataError(f"no column is left that could be a feature ({reasons})")
        return (
            tuple(column.name for column in fit if column.kind == "numeric"),
            tuple(column.name for column in fit if column.kind == "categorical"),
        )


def look_over(head: Head) -> Look:
    """What the first rows tell."""
    columns = tuple(_look(head, at) for at in range(len(head.names)))
    used = [head.columns[at] for at, column in enumerate(columns) if not column.unfit]
    rows = len(head.columns[0])
    gaps = sum(any(values[row] is None for values in used) for row in range(rows))
    return Look(delimiter=head.delimiter, rows=rows, rows_with_gaps=gaps, columns=columns)


def _look(head: Head, at: int) -> ColumnLook:
    name, values = head.names[at], head.columns[at]
    present = [value for value in values if value is not None]
    distinct = set(present)
    numeric = bool(present) and not any(isinstance(value, str) for value in distinct)
    return ColumnLook(
        name=name,
        kind="numeric" if numeric else "categorical",
        values=len(distinct),
        missing=len(values) - len(present),
        unfit=_unfit_by_name(head, name) or head.unfit.get(name, "") or _unfit(present, distinct, len(values)),
    )


def _unfit_by_name(head: Head, name: str) -> str:
    problem = name_problem(name)
    if problem:
        return f"its name {problem}"
    return "several columns have this name" if head.names.count(name) > 1 else ""


def _unfit(present: Sequence[Value], distinct: set[Value], rows: int) -> str:
    if not present:
        return "it is empty"
    if len(distinct) == 1:
        return f"it is always {present[0]!r}" if isinstance(present[0], str) else f"it is always {present[0]:g}"
    numbers: list[Number] = [value for value in present if not isinstance(value, str)]
    if len(numbers) == len(present):
        return "it counts the rows" if len(distinct) == rows > FEW and _counts_up(numbers) else ""
    if len(distinct) > FEW and len(distinct) > len(present) / 2:
        return "hardly a value repeats: an identifier or a text"
    return f"it has more than {MOST_CATEGORIES} different values" if len(distinct) > MOST_CATEGORIES else ""


def _counts_up(values: Sequence[Number]) -> bool:
    return all(value == values[0] + at for at, value in enumerate(values))
