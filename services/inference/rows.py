"""Requests decoded straight into typed rows of one model's features, compiled when the model loads.

This is the way of nearly all requests: no dictionary per record is made, and msgspec checks the types while it parses.
Whatever it does not take, a null that is to be filled, an unusual spelling, an error, goes the long way through
`schemas` and `Encoder.encode`, which knows what to say.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from common.errors import RecordError
from common.features import Encoder, Floats
from services.inference import schemas

_UNUSUAL = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, ValueError)


class RowReader:
    """Reads requests for one model."""

    def __init__(self, encoder: Encoder) -> None:
        """Compiles decoders for the encoder's features."""
        self._encoder = encoder
        fields = [(f"f{at}", float if one.kind == "numeric" else str) for at, one in enumerate(encoder.ordered)]
        names = {f"f{at}": one.name for at, one in enumerate(encoder.ordered)}
        row = msgspec.defstruct("Row", fields, rename=names, gc=False)
        body = msgspec.defstruct("Rows", [("records", list[row]), ("model", str | None, None)])  # type: ignore[valid-type] # made above
        self._body: msgspec.json.Decoder[Any] = msgspec.json.Decoder(body)
        self._rows: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[row])  # type: ignore[valid-type] # likewise

    def read(self, body: bytes) -> tuple[Floats, str | None]:
        """The matrix of a request, and the model that its body names.

        Raises ProblemError or RecordError that says what is wrong.
        """
        try:
            decoded = self._body.decode(body)
            return self._encoder.encode_rows(list(map(msgspec.structs.astuple, decoded.records))), decoded.model
        except (*_UNUSUAL, IndexError):
            request = schemas.read(body)
            return self._encoder.encode(request.records), request.model

    def read_slice(self, raws: Sequence[msgspec.Raw], start: int) -> Floats:
        """The matrix of some records of a large request; `start` is the index of the first one."""
        joined = b"".join((b"[", b",".join(raws), b"]"))
        try:
            return self._encoder.encode_rows(list(map(msgspec.structs.astuple, self._rows.decode(joined))))
        except _UNUSUAL:
            try:
                return self._encoder.encode(schemas.read_slice(raws, start))
            except RecordError as error:
                raise schemas.moved(error, start) from error
