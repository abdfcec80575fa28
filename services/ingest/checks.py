"""Whether rows fit the spec: what is counted while they stream by, and the decision at the end."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from common.datasets.checking import names_listed
from common.datasets.spec import DatasetSpec
from common.errors import DataError, RookeryError
from common.features import LARGEST

# PostgreSQL's tables have at most 1,600 columns, and each level becomes one in the encoded table.
MOST_LEVELS = 1_400
SHOWN_ROWS = 5


class OffendingRow(msgspec.Struct, frozen=True):
    """A row that does not fit: its number from 1 (the first after the header), the column, and the value."""

    row: int
    column: str
    value: str


class RejectedError(DataError):
    """The data do not fit the spec."""

    def __init__(self, message: str, rows: Sequence[OffendingRow] = ()) -> None:
        """Takes the reason in a sentence, and a few of the rows that are to blame."""
        super().__init__(message)
        self.rows = tuple(rows)


def wanted_columns(spec: DatasetSpec, present: list[str], *, of: str) -> list[str]:
    """The spec's columns in the order of the source. Raises RejectedError where one is missing or twice."""
    missing = [name for name in spec.columns if name not in present]
    if missing:
        noun = "column" if len(missing) == 1 else "columns"
        raise RejectedError(f"{noun} {names_listed(missing)} missing in {of}; it has {names_listed(present)}")
    twice = next((name for name in spec.columns if present.count(name) > 1), None)
    if twice is not None:
        raise RejectedError(f"column {twice} is there twice in {of}")
    return [name for name in present if name in spec.columns]


class Profile:
    """What is known of a snapshot after its rows went by. `complete` rows miss nothing that the spec needs."""

    def __init__(self, spec: DatasetSpec) -> None:
        """Begins with no rows."""
        self._spec = spec
        self.rows = 0
        self.complete = 0
        self.classes: Counter[str] = Counter()
        self.levels: dict[str, set[str]] = {name: set() for name in spec.texts}
        self.target_range = (math.inf, -math.inf)

    def add(self, batch: pa.RecordBatch) -> None:
        """Counts a batch. Raises RejectedError for a value that no later row can make right."""
        for name in self._spec.numbers:
            self._check_finite(name, batch.column(name))
        for name in self._spec.texts:
            self._check_levels(name, batch.column(name))
        self._count_target(batch)
        self.rows += batch.num_rows

    def _check_finite(self, name: str, numbers: pa.Array) -> None:
        extremes = pc.min_max(numbers).as_py()
        low, high = extremes["min"], extremes["max"]
        if low is None or (low >= -LARGEST and high <= LARGEST):
            return
        wrong = pc.greater(pc.abs(numbers), LARGEST)
        positions = pc.indices_nonzero(wrong).to_pylist()[:SHOWN_ROWS]
        rows = [OffendingRow(self.rows + at + 1, name, str(numbers[at].as_py())) for at in positions]
        raise RejectedError(f"column {name} has a value too large or infinite in row {rows[0].row}", rows)

    def _check_levels(self, name: str, texts: pa.Array) -> None:
        known = self.levels[name]
        found = set(pc.unique(texts).to_pylist()) - {None}
        allowed = self._spec.levels.get(name)
        strange = sorted(found.difference(allowed)) if allowed else []
        if strange:
            where = pc.indices_nonzero(pc.is_in(texts, pa.array(strange))).to_pylist()[:SHOWN_ROWS]
            rows = [OffendingRow(self.rows + at + 1, name, str(texts[at].as_py())) for at in where]
            raise RejectedError(
                f"column {name} has {strange[0]!r} in row {rows[0].row}, which is not among its levels: "
                f"{', '.join(allowed or ())}",
                rows,
            )
        known |= found
        if len(known) > MOST_LEVELS:
            raise RejectedError(
                f"column {name} has more than {MOST_LEVELS:,} different values by row {self.rows + len(texts):,}: "
                "too many to be categories; is it an identifier?"
            )

    def _count_target(self, batch: pa.RecordBatch) -> None:
        spec = self._spec
        target = batch.column(spec.target)
        needed = [spec.target] if spec.missing == "impute" else list(spec.columns)
        gaps = [name for name in needed if batch.column(name).null_count]
        if gaps:
            mask = pc.is_valid(batch.column(gaps[0]))
            for name in gaps[1:]:
                mask = pc.and_(mask, pc.is_valid(batch.column(name)))
            target = target.filter(mask)
        self.complete += len(target)
        if spec.task == "classification":
            for entry in pc.value_counts(target).to_pylist():
                self.classes[entry["values"]] += entry["counts"]
        elif len(target):
            extremes = pc.min_max(target).as_py()
            low, high = self.target_range
            self.target_range = (min(low, extremes["min"]), max(high, extremes["max"]))


def check_profile(profile: Profile, spec: DatasetSpec, *, rows_before: int | None) -> None:
    """Raises RejectedError where a snapshot as a whole cannot be trained on, or shrank too much."""
    missing = "" if profile.complete == profile.rows else " without missing values"
    if not profile.complete:
        raise RejectedError(f"there is no row{missing} among {profile.rows:,}")
    _check_target(profile, spec, missing)
    least = (1 - spec.max_shrink) * (rows_before or 0)
    if profile.rows < least:
        raise RejectedError(
            f"the data shrank from {rows_before:,} rows to {profile.rows:,}, "
            f"more than max_shrink = {spec.max_shrink:g} allows; where that is right, raise max_shrink in the spec"
        )


def _check_target(profile: Profile, spec: DatasetSpec, missing: str) -> None:
    # A class needs a row in every fold of the training rows.
    least = math.ceil(spec.folds / (1 - spec.test_size))
    if spec.task == "regression":
        if profile.complete < 2 * least:
            raise RejectedError(f"{profile.complete} rows{missing} are too few for {spec.folds} folds")
        if profile.target_range[0] == profile.target_range[1]:
            raise RejectedError(f"target {spec.target} has the same value in every row: {profile.target_range[0]:g}")
        return
    if len(profile.classes) < 2:  # noqa: PLR2004 - a classification has two classes at least
        only = next(iter(profile.classes))
        raise RejectedError(f"target {spec.target} has one class only: {only!r}")
    few = sorted(name for name, count in profile.classes.items() if count < least)
    if few:
        counts = ", ".join(f"{name!r} {profile.classes[name]}" for name in few[:10])
        others = f" and {len(few) - 10:,} more" if len(few) > 10 else ""  # noqa: PLR2004 - those that are listed
        hint = "; is it a regression?" if others and all(map(is_number, few)) else ""
        raise RejectedError(
            f"target {spec.target} has classes with fewer than {least} rows{missing}, "
            f"too few for {spec.folds} folds: {counts}{others}{hint}"
        )


def is_number(text: str) -> bool:
    """Whether Arrow reads a text as a number."""
    try:
        pc.cast(pa.scalar(text.strip()), pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def how_to_write(value: str) -> str:
    """What to do about a number that is written with commas, to be put after a reason; nothing for anything else."""
    written = "," in value and is_number(value.replace(",", ""))
    return "; write numbers without commas, such as 1234.5" if written else ""


def as_json(error: RookeryError) -> list[dict[str, Any]] | None:
    """The offending rows as they are kept in Postgres; None where none are known."""
    rows: list[dict[str, Any]] = msgspec.to_builtins(error.rows) if isinstance(error, RejectedError) else []
    return rows or None
