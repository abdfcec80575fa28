"""How records become numbers, said once: preprocess, train and inference all call this.

The full encoding is every numeric column in order, then one indicator per level of each categorical one; it is the
`_preprocessed` table. What a model sees leaves out the first level of each categorical feature, and the target. Levels
are fixed when a snapshot is preprocessed, never taken from the records at hand: a single record encoded by itself would
lose every category.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Literal, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.errors import RecordError

Floats = NDArray[np.float64]

# Trees compare in float32, so a number that overflows there has no place in their order: it is refused for all models.
LARGEST = float(np.finfo(np.float32).max)
_NUMBERS = frozenset({float, int})
_UNKNOWN = -2
_FIRST = -1


class Feature(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column of a data set: its levels (sorted) or range as preprocess found them, and what replaces a null."""

    name: str
    kind: Literal["numeric", "categorical"]
    levels: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    fill: float | str | None = None


def full_columns(features: Sequence[Feature]) -> tuple[str, ...]:
    """The columns of the full encoding: numeric features in order, then `<feature>_<level>` for each level."""
    numeric = tuple(feature.name for feature in features if feature.kind == "numeric")
    return numeric + tuple(column for feature in features for column in indicators(feature))


def feature_columns(features: Sequence[Feature]) -> tuple[str, ...]:
    """The columns a model sees, of its features without the target: each categorical one's first level is left out."""
    numeric = tuple(feature.name for feature in features if feature.kind == "numeric")
    return numeric + tuple(column for feature in features for column in indicators(feature)[1:])


def indicators(feature: Feature) -> tuple[str, ...]:
    """The indicator columns of a feature, one per level; none for a numeric one."""
    return tuple(f"{feature.name}_{level}" for level in feature.levels) if feature.kind == "categorical" else ()


class Encoder:
    """Encodes records for a model: `(n_records, n_columns) float64`, the same alone and in a batch.

    Built once per model; what can be looked up is laid out here so that `encode` is a few passes in C.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        """Takes the model's features in order, without the target."""
        self.features = tuple(features)
        self.columns = feature_columns(features)
        numeric = [feature for feature in features if feature.kind == "numeric"]
        # Numeric features first, then categorical ones: the order of a row's values.
        self.ordered = [*numeric, *(feature for feature in features if feature.kind == "categorical")]
        self._numeric = len(numeric)
        names = [feature.name for feature in self.ordered]
        self._values = _getter(names)
        self._codes = [level_codes(feature.levels) for feature in self.ordered[self._numeric :]]
        # What each code's indicators are; -1, the first level's, is the last row: all zero.
        self._rows = [np.eye(max(len(feature.levels), 1))[:, :-1] for feature in self.ordered[self._numeric :]]
        self._starts = _starts(self._numeric, self.ordered[self._numeric :])

    def encode(self, records: Sequence[Mapping[str, Any]]) -> Floats:
        """The records' matrix. Raises RecordError for the first record that cannot be encoded."""
        try:
            if len(records) == 1:
                return self._encode_one(records[0])
            return self._encode_quickly(records)
        except (KeyError, TypeError, ValueError, OverflowError):
            # One of the records is unusual: a null to fill, another case, or wrong. Look at each.
            return self._encode_carefully(records)

    def _encode_one(self, record: Mapping[str, Any]) -> Floats:
        """One record as `(1, n_columns)`. Raises an error that `encode` catches where a value needs a closer look."""
        values = self._values(record)
        row = [0.0] * len(self.columns)
        count = self._numeric
        for position in range(count):
            value = values[position]
            if type(value) not in _NUMBERS or not -LARGEST <= value <= LARGEST:
                raise ValueError
            row[position] = value
        for codes, start, value in zip(self._codes, self._starts, values[count:], strict=True):
            code = codes[value]
            if code >= 0:
                row[start + code] = 1.0
        return np.array([row], dtype=np.float64)

    def _encode_quickly(self, records: Sequence[Mapping[str, Any]]) -> Floats:
        """Many records, a column at a time; raises like `_encode_one`."""
        columns = list(zip(*map(self._values, records), strict=True))
        if not _NUMBERS.issuperset(map(type, chain.from_iterable(columns[: self._numeric]))):
            raise ValueError
        return self._encode_ordered(columns, len(records))

    def encode_rows(self, rows: Sequence[tuple[Any, ...]]) -> Floats:
        """The matrix of rows whose values are in the order of `ordered`, numbers as floats and categories as text.

        Raises KeyError or ValueError where a value is none of the usual: `encode` takes a closer look at such records.
        """
        if len(rows) > 1:
            return self._encode_ordered(list(zip(*rows, strict=True)), len(rows))
        matrix = np.zeros((1, len(self.columns)))
        row = matrix[0]
        values = rows[0]
        for position in range(self._numeric):
            if not -LARGEST <= values[position] <= LARGEST:
                raise ValueError
            row[position] = values[position]
        for codes, start, value in zip(self._codes, self._starts, values[self._numeric :], strict=True):
            code = codes[value]
            if code >= 0:
                row[start + code] = 1.0
        return matrix

    def _encode_ordered(self, columns: Sequence[Sequence[Any]], count: int) -> Floats:
        """Columns in the order of `ordered`, numbers known to be such. Raises like `encode_rows`."""
        matrix = np.empty((count, len(self.columns)))
        if self._numeric:
            numbers = chain.from_iterable(columns[: self._numeric])
            values = np.fromiter(numbers, np.float64, count * self._numeric)
            # NaN is neither.
            if not (values.max() <= LARGEST and values.min() >= -LARGEST):
                raise ValueError
            matrix[:, : self._numeric] = values.reshape(self._numeric, count).T
        categorical = zip(self._codes, self._rows, self._starts, columns[self._numeric :], strict=True)
        for codes, rows, start, column in categorical:
            found = np.fromiter(map(codes.__getitem__, column), np.intp, count)
            matrix[:, start : start + rows.shape[1]] = rows.take(found, axis=0, mode="wrap")
        return matrix

    def _encode_carefully(self, records: Sequence[Mapping[str, Any]]) -> Floats:
        """Like the others, with nulls filled and any case of a category; raises RecordError at the first problem."""
        matrix = np.zeros((len(records), len(self.columns)))
        for index, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise RecordError(
                    f"record {index}: expected an object of fields, got {_type_name(record)}", record=index, field=""
                )
            for position, feature in enumerate(self.ordered):
                value = _value_of(record, feature, index)
                if feature.kind == "numeric":
                    matrix[index, position] = number(value, feature, index)
                    continue
                categorical = position - self._numeric
                code = level_code(value, feature, self._codes[categorical], index)
                if code >= 0:
                    matrix[index, self._starts[categorical] + code] = 1.0
        return matrix

    def encode_columns(self, columns: Mapping[str, NDArray[Any] | Sequence[Any]]) -> Floats:
        """The same for records given as one array or sequence per feature; NaN and None are nulls.

        Raises RecordError where a column is missing, has another length, or holds what cannot be encoded.
        """
        missing = next((feature.name for feature in self.ordered if feature.name not in columns), None)
        if missing is not None:
            raise RecordError(f"field {missing!r} is missing", record=0, field=missing)
        length = len(columns[self.ordered[0].name]) if self.ordered else 0
        matrix = np.zeros((length, len(self.columns)))
        for position, feature in enumerate(self.ordered):
            column = columns[feature.name]
            if len(column) != length:
                raise RecordError(
                    f"field {feature.name!r} has {len(column)} values where others have {length}",
                    record=min(len(column), length),
                    field=feature.name,
                )
            if feature.kind == "numeric":
                matrix[:, position] = _numbers(column, feature)
                continue
            categorical = position - self._numeric
            found = _level_codes_of(column, feature, self._codes[categorical])
            rows = np.flatnonzero(found >= 0)
            matrix[rows, self._starts[categorical] + found[rows]] = 1.0
        return matrix

    def decode(self, matrix: Floats) -> list[dict[str, float | str]]:
        """The records of an encoded matrix, fields in the features' order: for sample records and reports."""
        records = []
        for row in matrix:
            found: dict[str, float | str] = {}
            for position, feature in enumerate(self.ordered):
                if feature.kind == "numeric":
                    found[feature.name] = float(row[position])
                    continue
                start = self._starts[position - self._numeric]
                set_at = np.flatnonzero(row[start : start + len(feature.levels) - 1])
                found[feature.name] = feature.levels[int(set_at[0]) + 1 if len(set_at) else 0]
            records.append({feature.name: found[feature.name] for feature in self.features})
        return records


def level_codes(levels: Sequence[str]) -> dict[Any, int]:
    """Looks up a level: -1 for the first (it has no column), then 0, 1, ...

    Usual spellings that differ only in case are in it where they are unambiguous; `level_code` finds the others.
    """
    folded = [level.casefold() for level in levels]
    codes: dict[Any, int] = {}
    for code, level in enumerate(levels, start=_FIRST):
        if folded.count(level.casefold()) == 1:
            for spelling in (level.casefold(), level.lower(), level.upper(), level.title(), level.capitalize()):
                codes.setdefault(spelling, code)
    # Exact matches win over another level's spelling.
    codes.update({level: code for code, level in enumerate(levels, start=_FIRST)})
    return codes


def level_code(value: Any, feature: Feature, codes: Mapping[Any, int], record: int) -> int:
    """The code of one value. Raises RecordError that lists the known levels."""
    if isinstance(value, str):
        code = codes.get(value, _UNKNOWN)
        if code == _UNKNOWN and sum(level.casefold() == value.casefold() for level in feature.levels) == 1:
            code = codes[next(level for level in feature.levels if level.casefold() == value.casefold())]
        if code != _UNKNOWN:
            return code
    known = ", ".join(feature.levels)
    what = f"unknown category {_shown(value)}" if isinstance(value, str) else f"expected text, got {_type_name(value)}"
    raise RecordError(
        f"record {record}: field {feature.name!r}: {what}; known are {known}",
        record=record,
        field=feature.name,
        known=feature.levels,
    )


def number(value: Any, feature: Feature, record: int) -> float:
    """One value as a number. Raises RecordError for a boolean, text, NaN, or what no float32 can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(f"expected a number, got {_type_name(value)}", feature, record)
    if not -LARGEST <= value <= LARGEST:
        what = "NaN is no number" if value != value else "the number is too large"  # noqa: PLR0124 - only NaN differs from itself
        _refuse(what, feature, record)
    return float(value)


def _value_of(record: Mapping[str, Any], feature: Feature, index: int) -> Any:
    """A record's value of a feature, a null replaced by the feature's fill. Raises RecordError where it has none."""
    if feature.name not in record:
        _refuse("is missing", feature, index)
    value = record[feature.name]
    if value is None and feature.fill is None:
        _refuse("is null", feature, index)
    return feature.fill if value is None else value


def _refuse(what: str, feature: Feature, record: int) -> NoReturn:
    raise RecordError(f"record {record}: field {feature.name!r}: {what}", record=record, field=feature.name)


def _numbers(column: NDArray[Any] | Sequence[Any], feature: Feature) -> Floats:
    """A numeric column; values are looked at one by one only where the quick way finds something unusual."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
        values = column.astype(np.float64).reshape(len(column))
        if feature.fill is not None:
            values = np.where(np.isnan(values), float(feature.fill), values)
        wrong = np.flatnonzero(~(np.abs(values) <= LARGEST))
        if len(wrong):
            number(float(values[wrong[0]]), feature, int(wrong[0]))
        return values
    return np.array(
        [number(_filled(value, feature, index), feature, index) for index, value in enumerate(_plain(column))],
        dtype=np.float64,
    )


def _level_codes_of(
    column: NDArray[Any] | Sequence[Any], feature: Feature, codes: Mapping[Any, int]
) -> NDArray[np.intp]:
    """The codes of a categorical column; each distinct value is looked at once."""
    known: dict[Any, int] = {}
    found = np.empty(len(column), dtype=np.intp)
    for index, value in enumerate(_plain(column)):
        code = known.get(value) if isinstance(value, str) else None
        if code is None:
            code = level_code(_filled(value, feature, index), feature, codes, index)
            if isinstance(value, str):
                known[value] = code
        found[index] = code
    return found


def _plain(column: NDArray[Any] | Sequence[Any]) -> Sequence[Any]:
    """A column's values as Python's own."""
    return column.tolist() if isinstance(column, np.ndarray) else column


def _filled(value: Any, feature: Feature, index: int) -> Any:
    """A value, a null (None or NaN) replaced by the feature's fill. Raises RecordError where it has none."""
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 - only NaN differs from itself
        if feature.fill is None:
            _refuse("is null", feature, index)
        return feature.fill
    return value


def _starts(first: int, categorical: Sequence[Feature]) -> list[int]:
    """Where each categorical feature's columns begin."""
    starts = []
    for feature in categorical:
        starts.append(first)
        first += max(len(feature.levels) - 1, 0)
    return starts


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Fetches a record's values; `itemgetter` gives no tuple for one name and cannot be made for none."""
    if len(names) > 1:
        first, second, *others = names
        return itemgetter(first, second, *others)
    return lambda record: tuple(record[name] for name in names)


def _shown(value: str) -> str:
    """A value as an error message shows it: never a page of it."""
    return repr(value if len(value) <= 60 else f"{value[:57]}...")  # noqa: PLR2004 - a line's worth


def _type_name(value: Any) -> str:
    """What JSON calls the type of a value."""
    names = {bool: "a boolean", str: "text", list: "an array", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
