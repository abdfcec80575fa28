"""Linear models as one matrix product; a scaler before them is folded into the weights at export.

Arrays: `weights (n_columns, n_outputs)`, `intercept (n_outputs,)`. The link turns scores into the answer: `softmax`,
`logistic` (two classes, one score), `one_vs_rest`, or `identity` for regression.
"""

import numpy as np

from common.predictors import links
from common.predictors.arrays import Arrays, size_of
from common.predictors.links import Floats

LINKS = ("identity", "softmax", "logistic", "one_vs_rest")


class LinearPredictor:
    """Answers as the pipeline of a linear model does."""

    kind = "linear"

    def __init__(self, arrays: Arrays) -> None:
        """Takes the arrays of the file; `link` is an index into LINKS."""
        self._weights = np.ascontiguousarray(arrays["weights"], dtype=np.float64)
        self._intercept = np.ascontiguousarray(arrays["intercept"], dtype=np.float64)
        self._link = LINKS[int(arrays["link"])]
        self.columns, outputs = self._weights.shape
        if self._intercept.shape != (outputs,) or (self._link in {"identity", "logistic"} and outputs != 1):
            raise ValueError("the outputs do not fit each other")
        self.nbytes = size_of(self._weights, self._intercept)

    def predict_proba(self, matrix: Floats) -> Floats:
        """`(n, k)` probabilities."""
        scores: Floats = matrix @ self._weights
        scores += self._intercept
        if self._link == "softmax":
            return links.softmax(scores)
        if self._link == "logistic":
            return links.both(links.logistic(scores[:, 0]))
        return links.normalised(links.logistic(scores))

    def predict(self, matrix: Floats) -> Floats:
        """`(n,)` numbers for regression, else indices of classes."""
        if self._link == "identity":
            scores: Floats = matrix @ self._weights[:, 0]
            scores += self._intercept[0]
            return scores
        return links.labels(self.predict_proba(matrix))
