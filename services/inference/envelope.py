"""The JSON answer of a version: what is the same in all of them is encoded once."""

from collections.abc import Sequence

import msgspec

from services.inference.batching import Outcome

_encode = msgspec.json.encode


class Envelope:
    """Encodes answers of one version."""

    __slots__ = ("_head", "_tail")

    def __init__(self, model: str, version: int, classes: Sequence[str]) -> None:
        """Takes what every answer of the version repeats."""
        self._head = _encode({"model": model, "version": version})[:-1] + b',"predictions":'
        self._tail = (b',"classes":' + _encode(list(classes)) if classes else b"") + b"}"

    def document(self, outcome: Outcome) -> bytes:
        """The answer to a request."""
        labels, probabilities = outcome
        if probabilities is None:
            return self._head + _encode(labels) + self._tail
        return b"".join((self._head, _encode(labels), b',"probabilities":', _encode(probabilities), self._tail))

    def joined(self, parts: Sequence[tuple[bytes, bytes | None]]) -> bytes:
        """The answer to a large request from the encoded lists of its slices."""
        pieces = [self._head, b"[", b",".join(labels[1:-1] for labels, _ in parts), b"]"]
        if all(probabilities is not None for _, probabilities in parts):
            pieces += [b',"probabilities":[', b",".join(more[1:-1] for _, more in parts if more is not None), b"]"]
        return b"".join((*pieces, self._tail))


def encoded_part(outcome: Outcome) -> tuple[bytes, bytes | None]:
    """The lists of one slice, encoded."""
    return _encode(outcome.labels), None if outcome.probabilities is None else _encode(outcome.probabilities)
