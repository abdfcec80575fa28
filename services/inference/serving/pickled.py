"""Models that only scikit-learn itself can answer for: loaded from bytes that were verified before.

Run as a module, this is the child process in which such a model is tried first: a file that crashes the interpreter
takes the child down, not the server. It reads jobs from standard input and answers on standard output, both framed by
a length of four bytes; scikit-learn is imported with the first job and stays, since that takes 1.5 s.
"""

import io
import os
import resource
import struct
import sys
from typing import Any, BinaryIO

import msgspec
import numpy as np

from common.features import Floats

MEMORY_LIMIT_BYTES = 8 * 2**30
HEADER = struct.Struct("!I")


class Job(msgspec.Struct):
    """A bundle's bytes, and records `(n, columns)` to answer; `classes` is 0 for regression."""

    bundle: bytes
    matrix: list[list[float]]
    classes: int


class Answers(msgspec.Struct):
    """What the model answered, or why it did not."""

    values: list[list[float]] = []
    error: str = ""


class PickledPredictor:
    """A scikit-learn model with the interface of a predictor."""

    kind = "pickle"

    def __init__(self, model: Any) -> None:
        """Takes a fitted estimator or pipeline."""
        self._model = model
        self.has_probabilities = hasattr(model, "predict_proba")
        # Fitted with a frame, it wants one; pandas is imported only then.
        names = getattr(model, "feature_names_in_", None)
        self._names = None if names is None else [str(name) for name in names]

    def predict_proba(self, matrix: Floats) -> Floats:
        """`(n, k)` probabilities."""
        return np.asarray(self._model.predict_proba(self._frame(matrix)), dtype=np.float64)

    def predict(self, matrix: Floats) -> Floats:
        """`(n,)` numbers for regression, indices of classes otherwise."""
        return np.asarray(self._model.predict(self._frame(matrix)), dtype=np.float64)

    def _frame(self, matrix: Floats) -> Any:
        if self._names is None:
            return matrix
        import pandas as pd

        return pd.DataFrame(matrix, columns=self._names)


def load_pickle(bundle: bytes) -> PickledPredictor:
    """The model of a bundle. The bytes must have been verified: unpickling runs what they say."""
    import joblib

    content = joblib.load(io.BytesIO(bundle))
    model = content["model"]
    jobs = {name: 1 for name in model.get_params() if name.rpartition("__")[2] == "n_jobs"}
    if jobs:
        # One request is one call; a pool of threads per call costs more than it gives.
        model.set_params(**jobs)
    return PickledPredictor(model)


def answer(job: Job) -> Answers:
    """Loads the bundle and answers the records."""
    try:
        predictor = load_pickle(job.bundle)
        matrix = np.array(job.matrix, dtype=np.float64)
        if job.classes and predictor.has_probabilities:
            return Answers(values=predictor.predict_proba(matrix).tolist())
        return Answers(values=[[value] for value in predictor.predict(matrix).tolist()])
    except Exception as error:  # noqa: BLE001 - whatever a file does to us, the answer is its reason
        return Answers(error=f"{type(error).__name__}: {error}"[:500])


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame; None at the end."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    return stream.read(HEADER.unpack(header)[0])


def run(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answers jobs until the input ends."""
    while (frame := read_frame(requests)) is not None:
        reply = msgspec.msgpack.encode(answer(msgspec.msgpack.decode(frame, type=Job)))
        replies.write(HEADER.pack(len(reply)) + reply)
        replies.flush()


def main() -> None:
    """The child process. What a model prints goes to standard error, so that it cannot garble the answers."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    run(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
