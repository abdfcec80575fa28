"""What a training works on: the encoded rows of one snapshot and how they are split."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.datasets import DatasetSpec
from common.errors import DataError
from common.features import Feature, Floats, feature_columns

Integers = NDArray[np.int64]


class TrainingData(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a snapshot: `matrix (n_rows, n_columns)`, `target (n_rows,)` as class indices or numbers.

    `rows` is how many the snapshot has; `matrix` holds fewer where a sample was taken, and `numbers` says which.
    """

    snapshot: int
    digest: str
    features: tuple[Feature, ...]
    classes: tuple[str, ...]
    matrix: Floats
    target: Floats
    rows: int
    numbers: Integers = msgspec.field(default_factory=lambda: np.arange(0))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the matrix's columns."""
        return feature_columns(self.features)


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Row numbers of the training and the test part."""

    train: Integers
    test: Integers


def split_rows(data: TrainingData, spec: DatasetSpec) -> Split:
    """Splits as `train_test_split(test_size, random_state)` does, not stratified: parity with what users compare to.

    Only where that would leave a class out of the training part, it is stratified. Raises DataError where a
    class has too few rows for either, or nothing would be left to train or test on.
    """
    from sklearn.model_selection import train_test_split

    numbers = np.arange(len(data.target))
    options = {"test_size": spec.test_size, "random_state": spec.random_state}
    if len(numbers) < 2 * spec.folds:
        raise DataError(f"{len(numbers)} rows are too few to train on with {spec.folds} folds")
    if data.classes:
        check_classes(data, spec)
    train, test = train_test_split(numbers, **options)
    if data.classes and len(np.unique(data.target[train])) < len(data.classes):
        train, test = train_test_split(numbers, stratify=data.target, **options)
    return Split(train=train, test=test)


def check_classes(data: TrainingData, spec: DatasetSpec) -> None:
    """Raises DataError where a class has fewer rows than there are folds, or there is but one class."""
    if len(data.classes) < 2:  # noqa: PLR2004 - one class is nothing to tell apart
        raise DataError(f"the target has {len(data.classes)} classes; there is nothing to tell apart")
    counts = np.bincount(data.target.astype(np.int64), minlength=len(data.classes))
    rare = [f"{name} ({count})" for name, count in zip(data.classes, counts, strict=True) if count <= spec.folds]
    if rare:
        raise DataError(f"classes with too few rows for {spec.folds} folds and a test part: {', '.join(rare)}")


def row_hashes(matrix: Floats, target: Floats) -> NDArray[np.uint64]:
    """A 64-bit hash of each row with its target: tells which rows a later version has been trained on.

    Polynomial over the bits of the values, then mixed (the finaliser of SplitMix64, Steele et al. 2014).
    """
    bits = np.ascontiguousarray(np.column_stack([matrix, target]) + 0.0).view(np.uint64)
    found = np.zeros(len(bits), dtype=np.uint64)
    for column in range(bits.shape[1]):
        found = mix(found * np.uint64(0x9E3779B97F4A7C15) + bits[:, column])
    return found


def mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64: neighbours in, unrelated numbers out."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def indices_of(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where each wanted name stands among names."""
    places = {name: place for place, name in enumerate(names)}
    return [places[name] for name in wanted]
