"""From scores to probabilities, as scikit-learn does it, without a warning for any finite score."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# exp(-708) is the smallest normal number; beyond it a probability is 0 or 1 to the last bit that matters.
_STEEPEST = 700.0


def softmax(scores: Floats) -> Floats:
    """Probabilities of `(n, k)` scores, in place."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def logistic(scores: Floats) -> Floats:
    """1 / (1 + exp(-score)) of each score."""
    result: Floats = 1.0 / (1.0 + np.exp(-np.clip(scores, -_STEEPEST, _STEEPEST)))
    return result


def both(positive: Floats) -> Floats:
    """`(n, 2)` probabilities from those of the second class."""
    result = np.empty((len(positive), 2))
    result[:, 1] = positive
    np.subtract(1.0, positive, out=result[:, 0])
    return result


def normalised(scores: Floats) -> Floats:
    """`(n, k)` scores divided by their sum; equal shares where all are 0."""
    total = scores.sum(axis=1, keepdims=True)
    if total.all():
        scores /= total
        return scores
    empty = total[:, 0] == 0.0
    scores[empty] = 1.0
    total[empty] = scores.shape[1]
    scores /= total
    return scores


def labels(probabilities: Floats) -> Floats:
    """`(n,)` indices of the most probable classes; the first where several are."""
    found: Floats = probabilities.argmax(axis=1).astype(np.float64)
    return found
