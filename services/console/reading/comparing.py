"""Two versions on the same test rows: both answer through their plain-data predictors, nothing is unpickled."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from common.bundles.layout import EVALUATION
from common.bundles.manifest import Manifest
from common.bundles.reader import read_manifest, verify_files
from common.errors import BundleError
from common.features import Encoder, Floats
from common.predictors.arrays import unpack
from common.predictors.loading import PICKLE, load_predictor

_REPEATS = 5
_IMPORTANCE_ROWS = 1000
_MOST_ROWS = 20_000
_SHOWN = 50


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two: what its manifest says, and what it answers."""

    version: int
    manifest: dict[str, Any]
    size_bytes: int
    confusion: list[list[int]] = []
    wrong: int | None = None
    importance: dict[str, float] = {}
    why_not: str = ""


class DifferentRow(msgspec.Struct, frozen=True):
    """A test row that the two answer differently."""

    record: dict[str, Any]
    truth: str
    a: str
    b: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides, on the test rows of the newer one; `rows` is None where they could not be compared."""

    a: Side
    b: Side
    rows: int | None = None
    different: int | None = None
    shown: list[DifferentRow] = []
    why_not: str = ""


class _Loaded(msgspec.Struct, frozen=True, kw_only=True):
    manifest: Manifest
    predictor: Any
    rows: dict[str, Any]
    size_bytes: int
    why_not: str


def compare(models_dir: Path, model: str, a: int, b: int, keys: Sequence[bytes]) -> Comparison:
    """Compares two versions. Blocking: for a thread. Raises BundleError where a manifest does not verify."""
    left, right = _load(models_dir, model, a, keys), _load(models_dir, model, b, keys)
    newer = right if right.manifest.version > left.manifest.version else left
    why_not = left.why_not or right.why_not or _difference(left.manifest, right.manifest)
    if why_not or "test_matrix" not in newer.rows:
        why_not = why_not or f"version {newer.manifest.version} kept no test rows"
        return Comparison(a=_plain(left), b=_plain(right), why_not=why_not)
    matrix = np.asarray(newer.rows["test_matrix"])[:_MOST_ROWS]
    target = np.asarray(newer.rows["test_target"])[:_MOST_ROWS]
    theirs = [_answers(one, matrix) for one in (left, right)]
    apart = _apart(left.manifest, *theirs)
    return Comparison(
        a=_answered(left, matrix, target, theirs[0]),
        b=_answered(right, matrix, target, theirs[1]),
        rows=len(matrix),
        different=int(apart.sum()),
        shown=_rows(newer.manifest, matrix, target, theirs, apart),
    )


def _load(models_dir: Path, model: str, version: int, keys: Sequence[bytes]) -> _Loaded:
    manifest = read_manifest(models_dir, model, version, keys)
    size = sum(entry.size for entry in manifest.files.values())
    if manifest.predictor.kind == PICKLE:
        why = f"version {version} has no plain-data predictor ({manifest.predictor.why})"
        return _Loaded(manifest=manifest, predictor=None, rows={}, size_bytes=size, why_not=why)
    try:
        names = [name for name in (manifest.predictor.file, EVALUATION) if name in manifest.files]
        files = verify_files(models_dir, manifest, names)
        predictor = load_predictor(files, manifest)
        rows = unpack(files[EVALUATION]) if EVALUATION in files else {}
    except BundleError as error:
        why = f"version {version}: {error.message}"
        return _Loaded(manifest=manifest, predictor=None, rows={}, size_bytes=size, why_not=why)
    return _Loaded(manifest=manifest, predictor=predictor, rows=dict(rows), size_bytes=size, why_not="")


def _difference(a: Manifest, b: Manifest) -> str:
    if a.feature_columns != b.feature_columns:
        return "the two versions see different columns"
    return "" if a.classes == b.classes else "the two versions know different classes"


def _answers(one: _Loaded, matrix: Floats) -> Floats:
    """Class indices, or numbers."""
    if one.manifest.classes:
        return np.asarray(np.argmax(one.predictor.predict_proba(matrix), axis=1), dtype=np.float64)
    return np.asarray(one.predictor.predict(matrix), dtype=np.float64)


def _apart(manifest: Manifest, a: Floats, b: Floats) -> Any:
    """Which rows are answered differently; numbers: by more than a hundredth of their spread."""
    if manifest.classes:
        return a != b
    return np.abs(a - b) > 0.01 * max(float(np.ptp(a)), 1e-12)


def _answered(one: _Loaded, matrix: Floats, target: Floats, found: Floats) -> Side:
    classes = one.manifest.classes
    confusion: list[list[int]] = []
    wrong = None
    if classes:
        counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(counts, (target.astype(np.int64), found.astype(np.int64)), 1)
        confusion, wrong = counts.tolist(), int((target != found).sum())
    return msgspec.structs.replace(
        _plain(one), confusion=confusion, wrong=wrong, importance=importance(one, matrix, target)
    )


def importance(one: _Loaded, matrix: Floats, target: Floats) -> dict[str, float]:
    """By feature: how much worse the answers get when its values are shuffled (Breiman, "Random Forests", 2001).

    For classes the share of right answers that is lost, for numbers the growth of the mean absolute error relative to
    the target's spread.
    """
    matrix, target = matrix[:_IMPORTANCE_ROWS], target[:_IMPORTANCE_ROWS]
    random = np.random.default_rng(0)
    spread = max(float(np.ptp(target)), 1e-12)

    def error(rows: Floats) -> float:
        found = _answers(one, rows)
        return float((found != target).mean() if one.manifest.classes else np.abs(found - target).mean() / spread)

    base, found, position = error(matrix), {}, 0
    for kind in ("numeric", "categorical"):
        for feature in (feature for feature in one.manifest.features if feature.kind == kind):
            width = 1 if kind == "numeric" else max(len(feature.levels) - 1, 0)
            columns = slice(position, position + width)
            position += width
            total = 0.0
            for _ in range(_REPEATS):
                shuffled = matrix.copy()
                shuffled[:, columns] = matrix[random.permutation(len(matrix))][:, columns]
                total += error(shuffled) - base
            found[feature.name] = round(total / _REPEATS, 4)
    return found


def _rows(manifest: Manifest, matrix: Floats, target: Floats, theirs: list[Floats], apart: Any) -> list[DifferentRow]:
    chosen = np.flatnonzero(apart)[:_SHOWN]
    records = Encoder(manifest.features).decode(matrix[chosen]) if len(chosen) else []

    def name(value: float) -> str:
        return manifest.classes[int(value)] if manifest.classes else f"{value:.4g}"

    return [
        DifferentRow(dict(record), name(target[row]), name(theirs[0][row]), name(theirs[1][row]))
        for record, row in zip(records, chosen, strict=True)
    ]


def _plain(one: _Loaded) -> Side:
    document: dict[str, Any] = msgspec.to_builtins(one.manifest)
    for field in ("samples", "hmac", "files"):
        document.pop(field, None)
    return Side(version=one.manifest.version, manifest=document, size_bytes=one.size_bytes, why_not=one.why_not)
