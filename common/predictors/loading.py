"""Loads the predictor that a manifest names from the bytes of its verified file."""

from collections.abc import Callable, Mapping
from typing import Protocol

from common.bundles.manifest import Manifest
from common.errors import BundleError
from common.predictors.arrays import Arrays, unpack
from common.predictors.forest import ForestPredictor
from common.predictors.linear import LinearPredictor
from common.predictors.links import Floats
from common.predictors.svc import SvcPredictor

PICKLE = "pickle"


class Predictor(Protocol):
    """A model that answers from plain arrays. Safe to call from several threads at once.

    `columns` is how many columns a matrix must have, `nbytes` what its arrays take in memory.
    """

    kind: str
    columns: int
    nbytes: int

    def predict_proba(self, matrix: Floats) -> Floats:
        """`(n, k)` probabilities of `(n, columns)` encoded records; the label is the largest one's index."""
        ...

    def predict(self, matrix: Floats) -> Floats:
        """`(n,)` numbers for regression; for classification the indices of the classes."""
        ...


def load_predictor(files: Mapping[str, bytes], manifest: Manifest) -> Predictor:
    """The predictor of a version, from the files that `common.bundles.reader.predictor_files` verified.

    Raises BundleError for a kind that is not known here (`pickle` is none: scikit-learn itself answers for those),
    a damaged file, or one that does not fit the manifest's columns.
    """
    entry = manifest.predictor
    if entry.file not in files:
        raise BundleError(f"the predictor's file {entry.file!r} is missing")
    predictor = from_bytes(entry.kind, files[entry.file])
    if predictor.columns != len(manifest.feature_columns):
        raise BundleError(
            f"the predictor has {predictor.columns} columns, the manifest {len(manifest.feature_columns)}"
        )
    return predictor


def from_bytes(kind: str, content: bytes) -> Predictor:
    """A predictor of a kind from its file. Raises BundleError."""
    kinds: dict[str, Callable[[Arrays], Predictor]] = {
        "linear": LinearPredictor,
        "forest": ForestPredictor,
        "svc": SvcPredictor,
    }
    if kind not in kinds:
        raise BundleError(f"no predictor of kind {kind!r} is known here")
    try:
        return kinds[kind](unpack(content))
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise BundleError(f"the predictor's arrays are not those of kind {kind!r}: {error}") from error
