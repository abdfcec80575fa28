"""Columns as the protocol sends them, in JSON or as raw bytes behind it, and the same way back."""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.inference.web.problems import ProblemError

# Little-endian, as the protocol says.
_DTYPES = {
    "FP64": "<f8",
    "FP32": "<f4",
    "FP16": "<f2",
    "INT64": "<i8",
    "INT32": "<i4",
    "INT16": "<i2",
    "INT8": "<i1",
    "UINT64": "<u8",
    "UINT32": "<u4",
    "UINT16": "<u2",
    "UINT8": "<u1",
}
_LENGTH = struct.Struct("<I")
# A column is `[n]` or `[n, 1]`.
_MOST_DIMENSIONS = 2

Column = NDArray[Any] | list[Any]


class Input(msgspec.Struct):
    """One column of a request."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class WantedOutput(msgspec.Struct):
    """An output that is asked for by name."""

    name: str
    parameters: dict[str, Any] = {}


class InferenceRequest(msgspec.Struct):
    """The JSON part of a request."""

    inputs: list[Input]
    outputs: list[WantedOutput] | None = None
    id: str | None = None
    parameters: dict[str, Any] = {}


class IndexRequest(msgspec.Struct):
    """What the repository's index is to have."""

    ready: bool = False


def columns(inputs: Sequence[Input], blob: bytes) -> dict[str, Column]:
    """The columns of a request by name; `blob` is what follows the JSON. Raises ProblemError that names the input."""
    found: dict[str, Column] = {}
    at = 0
    for entry in inputs:
        if entry.name in found:
            raise refused(entry, "is there twice")
        count = _count(entry)
        size = entry.parameters.get("binary_data_size")
        if size is None:
            found[entry.name] = _from_json(entry, count)
            continue
        if type(size) is not int or size < 0 or at + size > len(blob):
            raise refused(entry, f"says it has {size!r} bytes, {len(blob) - at} are left")
        found[entry.name] = _from_bytes(entry, blob[at : at + size], count)
        at += size
    if at != len(blob):
        raise ProblemError(400, f"{len(blob) - at} bytes behind the last input belong to none")
    return found


def encoded(values: Sequence[Any], *, text: bool) -> bytes:
    """An output's values as raw bytes."""
    if not text:
        return np.asarray(values, dtype="<f8").tobytes()
    parts: list[bytes] = []
    for value in values:
        word = str(value).encode()
        parts += (_LENGTH.pack(len(word)), word)
    return b"".join(parts)


def refused(entry: Input, what: str) -> ProblemError:
    """The refusal of an input."""
    return ProblemError(422, f"input {entry.name!r} {what}", field=entry.name)


def _count(entry: Input) -> int:
    """The number of records of a column."""
    shape = entry.shape
    if not 1 <= len(shape) <= _MOST_DIMENSIONS or shape[1:] not in ([], [1]) or shape[0] < 0:
        raise refused(entry, f"has the shape {shape[:8]}, expected [n] or [n, 1]")
    return shape[0]


def _from_json(entry: Input, count: int) -> Column:
    """A column of the JSON; rows of one value each are taken as that value."""
    if entry.datatype != "BYTES" and entry.datatype not in _DTYPES:
        raise refused(entry, f"has the datatype {entry.datatype!r}, expected {', '.join(_DTYPES)} or BYTES")
    if entry.data is None:
        raise refused(entry, "has neither data nor a binary_data_size")
    data = [value[0] if isinstance(value, list) and len(value) == 1 else value for value in entry.data]
    if len(data) != count:
        raise refused(entry, f"has {len(data)} values, its shape says {count}")
    return data


def _from_bytes(entry: Input, raw: bytes, count: int) -> Column:
    """A column of raw bytes."""
    if entry.datatype == "BYTES":
        return _words(entry, raw, count)
    dtype = _DTYPES.get(entry.datatype)
    if dtype is None:
        raise refused(entry, f"has the datatype {entry.datatype!r}, expected {', '.join(_DTYPES)} or BYTES")
    expected = count * np.dtype(dtype).itemsize
    if len(raw) != expected:
        raise refused(entry, f"has {len(raw)} bytes, its shape and datatype say {expected}")
    return np.frombuffer(raw, dtype=dtype)


def _words(entry: Input, raw: bytes, count: int) -> list[str]:
    """Texts, each behind its length."""
    words = []
    at = 0
    while at < len(raw):
        if at + _LENGTH.size > len(raw):
            raise refused(entry, "ends within a text's length")
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if at + length > len(raw):
            raise refused(entry, "ends within a text")
        try:
            words.append(raw[at : at + length].decode())
        except UnicodeDecodeError as error:
            raise refused(entry, f"has a text at {len(words)} that is not UTF-8") from error
        at += length
    if len(words) != count:
        raise refused(entry, f"has {len(words)} texts, its shape says {count}")
    return words
