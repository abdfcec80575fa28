"""What a data set is: the frozen form of its spec file, with every default, and names that follow from it."""

import hashlib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from common.datasets.estimators import Task

Missing = Literal["drop", "impute"]


class SeabornSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="seaborn"
):
    """One of seaborn's example data sets: `<name>.csv` in the data folder, or else downloaded there by seaborn."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+$")]


class CsvSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="csv"):
    """CSV files with one header line each: a path or a glob, relative to the data folder, compressed or not."""

    path: Annotated[str, Meta(min_length=1)]
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","


class ParquetSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="parquet"
):
    """Parquet files: a path or a glob, relative to the data folder."""

    path: Annotated[str, Meta(min_length=1)]


class SqlSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="sql"):
    """A query on any database that SQLAlchemy reaches.

    The URL stands here, or (where it holds a password) in a file named by `url_file`, relative to the data folder.
    """

    query: Annotated[str, Meta(min_length=1)]
    url: str = ""
    url_file: str = ""


Source = SeabornSource | CsvSource | ParquetSource | SqlSource


class GateSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a candidate must reach to go live, on the same test rows as the live version; named as in MLflow.

    `metric` empty: that of the data set. `min_absolute_change` below zero is how much worse it may be.
    """

    metric: str = ""
    threshold: float | None = None
    min_absolute_change: float = -0.05
    min_relative_change: float | None = None
    greater_is_better: bool = True


class FamilySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model family: an estimator, what is fixed, and what is searched over.

    `scale` standardises the numbers first; `calibrated` adds probabilities to an estimator that has none;
    `chunk_rows` feeds the estimator by `partial_fit`, that many rows at a time, instead of all at once.
    """

    estimator: str
    params: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    scale: bool = False
    calibrated: bool = False
    chunk_rows: Annotated[int, Meta(ge=100)] | None = None
    gate: GateSpec | None = None


class DatasetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A data set, checked and with every default filled in.

    `numeric` and `categorical` are both empty where the spec leaves them to be inferred from the data.
    `levels` are the categories that a column may have, where the spec says so. `max_shrink` is the share of rows that
    a new snapshot may have less than the last. `sample_rows`: training on more rows takes a sample of that many.
    `default`: this data set's models have bare names.
    """

    name: str
    source: Source
    target: str
    task: Task
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    levels: dict[str, tuple[str, ...]] = {}
    missing: Missing = "drop"
    test_size: float = 0.2
    random_state: int = 42
    folds: int = 3
    sample_rows: int | None = 1_000_000
    max_shrink: float = 0.5
    interval_s: float = 30.0
    preprocess_min_interval_s: float = 60.0
    train_min_interval_s: float = 300.0
    families: dict[str, FamilySpec]
    default_model: str
    metric: str
    gate: GateSpec = GateSpec()
    default: bool = False

    @property
    def inferred(self) -> bool:
        """Whether the features are still to be found in the data."""
        return not (self.numeric or self.categorical)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns of numbers: the numeric features, then the target of a regression."""
        return (*self.numeric, self.target) if self.task == "regression" else self.numeric

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of categories: the target of a classification, then the categorical features."""
        return self.categorical if self.task == "regression" else (self.target, *self.categorical)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read from the source."""
        return self.numbers + self.texts

    @property
    def digest(self) -> str:
        """A SHA-256 over all that decides what a training gives: not the schedule, nor how the file is written."""
        schedule = {"interval_s", "preprocess_min_interval_s", "train_min_interval_s"}
        content = {name: getattr(self, name) for name in self.__struct_fields__ if name not in schedule}
        return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()

    def gate_of(self, family: str) -> GateSpec:
        """The gate of a family: its own, or the data set's; with the metric filled in."""
        gate = self.families[family].gate or self.gate
        return gate if gate.metric else msgspec.structs.replace(gate, metric=self.metric)


def model_name(spec: DatasetSpec, family: str) -> str:
    """The name a family's model is served under: bare for the default data set, else `<dataset>.<family>`."""
    return family if spec.default else f"{spec.name}.{family}"
