"""Support vector classifiers with sigmoid calibration, as `CalibratedClassifierCV(SVC(), ensemble=False)` answers.

Arrays: `mean`, `scale (n_columns,)` of the scaler; `pair_intercept (n_pairs,)` and for a linear kernel
`pair_weights (n_columns, n_pairs)`, for an RBF one `vectors (n_vectors, n_columns)`, `gamma` and
`pair_weights (n_vectors, n_pairs)`; `slope`, `offset (n_classes,)` of the sigmoids (one each for two classes). Pairs
of classes are in scikit-learn's order: (0, 1), (0, 2), ..., (1, 2), ...
"""

import numpy as np
from numpy.typing import NDArray

from common.predictors import links
from common.predictors.arrays import Arrays, size_of
from common.predictors.links import Floats

_TWO = 2


class SvcPredictor:
    """Answers as the pipeline of a scaler and a calibrated SVC does."""

    kind = "svc"

    def __init__(self, arrays: Arrays) -> None:
        """Takes the arrays of the file."""
        scale = np.asarray(arrays["scale"], dtype=np.float64)
        if not (scale > 0.0).all():
            raise ValueError("a scale is not above 0")
        scale = 1.0 / scale
        self._weights = np.ascontiguousarray(arrays["pair_weights"], dtype=np.float64)
        self._intercept = np.asarray(arrays["pair_intercept"], dtype=np.float64)
        self._slope = -np.asarray(arrays["slope"], dtype=np.float64)
        self._offset = -np.asarray(arrays["offset"], dtype=np.float64)
        self._scale = scale
        self._shift = -np.asarray(arrays["mean"], dtype=np.float64) * scale
        self.columns = len(scale)
        self._vectors: Floats | None = None
        if "vectors" in arrays:
            vectors = np.asarray(arrays["vectors"], dtype=np.float64)
            gamma = float(arrays["gamma"])
            # exp(-gamma |x - v|^2) = exp(2 gamma x.v - gamma |x|^2 - gamma |v|^2)
            self._vectors = np.ascontiguousarray(vectors.T * (2.0 * gamma))
            self._norms = -gamma * np.einsum("ij,ij->i", vectors, vectors)
            self._gamma = -gamma
        pairs = _pairs(1 + len(self._slope) if len(self._slope) == 1 else len(self._slope))
        self._classes = len(pairs)
        inputs = self.columns if self._vectors is None else self._vectors.shape[1]
        if (
            self._weights.shape != (inputs, pairs.shape[1])
            or self._intercept.shape != (pairs.shape[1],)
            or self._offset.shape != self._slope.shape
            or self._shift.shape != scale.shape
            or (self._vectors is not None and len(self._vectors) != self.columns)
        ):
            raise ValueError("the arrays do not fit each other")
        self._signs = np.ascontiguousarray(pairs.T)
        self.nbytes = size_of(self._weights, self._intercept, self._signs, *_present(self._vectors))

    def predict_proba(self, matrix: Floats) -> Floats:
        """`(n, k)` probabilities: pairwise decisions, votes with their confidences, a sigmoid per class."""
        scaled: Floats = matrix * self._scale
        scaled += self._shift
        if self._vectors is not None:
            scaled = self._kernel(scaled, self._vectors)
        decisions = scaled @ self._weights
        decisions += self._intercept
        if self._classes == _TWO:
            scores = decisions
        else:
            # A decision below 0 is a vote for the pair's second class; confidences break ties of votes.
            confidences = decisions @ self._signs
            scores = np.where(decisions < 0.0, -0.5, 0.5) @ self._signs
            scores += (self._classes - 1) / 2
            confidences /= 3.0 * (np.abs(confidences) + 1.0)
            scores += confidences
        scores *= self._slope
        scores += self._offset
        if self._classes == _TWO:
            return links.both(links.logistic(scores[:, 0]))
        return links.normalised(links.logistic(scores))

    def predict(self, matrix: Floats) -> Floats:
        """`(n,)` indices of classes."""
        return links.labels(self.predict_proba(matrix))

    def _kernel(self, scaled: Floats, vectors: Floats) -> Floats:
        """`(n, n_vectors)` values of the RBF kernel."""
        kernel: Floats = scaled @ vectors
        kernel += self._norms
        kernel += (np.einsum("ij,ij->i", scaled, scaled) * self._gamma)[:, None]
        np.minimum(kernel, 0.0, out=kernel)
        np.exp(kernel, out=kernel)
        return kernel


def _pairs(classes: int) -> Floats:
    """`(n_classes, n_pairs)`: 1 where a class is a pair's first, -1 where it is its second."""
    first, second = np.triu_indices(classes, k=1)
    signs = np.zeros((classes, len(first)))
    signs[first, np.arange(len(first))] = 1.0
    signs[second, np.arange(len(first))] = -1.0
    return signs


def _present(array: NDArray[np.float64] | None) -> tuple[NDArray[np.float64], ...]:
    return () if array is None else (array,)
