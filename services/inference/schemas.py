"""The bodies of requests, decoded straight, and what is said where one does not decode."""

import json
import re
from collections.abc import Sequence
from math import isfinite, isnan
from typing import Any, NoReturn

import msgspec

from common.errors import RecordError
from services.inference.web.problems import ProblemError

_PLACE = re.compile(r" - at `\$(?P<path>.*)`$")
_RECORD = re.compile(r"\.records\[(?P<record>\d+)\](?:\.(?P<field>.+)|\[\.\.\.\])?")
# Python's own decoder is asked, where JSON is malformed, whether NaN or Infinity was meant; not for longer bodies.
_MOST_EXPLAINED_BYTES = 256 * 1024


class Body(msgspec.Struct):
    """A request of the records API."""

    records: list[dict[str, Any]]
    model: str | None = None


class _Compared(msgspec.Struct):
    models: list[str] = []


class RawBody(msgspec.Struct):
    """The same with records that are not decoded yet: decoding 50,000 at once holds the loop for 28 ms."""

    records: list[msgspec.Raw]
    model: str | None = None


_compared = msgspec.json.Decoder(_Compared)
_body = msgspec.json.Decoder(Body)
_raw_body = msgspec.json.Decoder(RawBody)
_records = msgspec.json.Decoder(list[dict[str, Any]])


def read(body: bytes) -> Body:
    """Decodes a request. Raises ProblemError: 400 for what is no JSON, 422 for JSON of another shape."""
    try:
        decoded = _body.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _explain(body, error)
    if not decoded.records:
        raise ProblemError(422, "'records' is empty: send at least one record", field="records")
    return decoded


def models_in(body: bytes) -> list[str]:
    """The models that a request to compare names in its body; none where it names none, or is no request at all."""
    if b'"models"' not in body:
        return []
    try:
        return _compared.decode(body).models
    except msgspec.ValidationError as error:
        refuse(error, "'models', a list of names")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []  # whoever reads the records says what is wrong


def read_raw(body: bytes) -> RawBody:
    """Decodes a large request down to its records."""
    try:
        decoded = _raw_body.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        refuse(error)
    if not decoded.records:
        raise ProblemError(422, "'records' is empty: send at least one record", field="records")
    return decoded


def read_slice(raws: Sequence[msgspec.Raw], start: int) -> list[dict[str, Any]]:
    """Decodes some records; `start` is the index of the first one. Raises ProblemError that names the record."""
    try:
        return _records.decode(b"".join((b"[", b",".join(raws), b"]")))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        for index, raw in enumerate(raws, start):
            try:
                msgspec.json.decode(raw, type=dict[str, Any])
            except msgspec.ValidationError as error:
                reason = _PLACE.sub("", str(error))
                raise ProblemError(422, f"record {index}: {reason}", record=index) from error
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise ProblemError(400, f"record {index}: {_reason(error)}", record=index) from error
        raise


def moved(error: RecordError, start: int) -> RecordError:
    """A slice's problem with the record's index in the whole request."""
    message = error.message.removeprefix(f"record {error.record}: ")
    record = start + error.record
    return RecordError(f"record {record}: {message}", record=record, field=error.field, known=error.known)


def refuse(error: Exception, expected: str = "an object with 'records', a list of objects") -> NoReturn:
    """Says what is wrong with a body that did not decode."""
    if not isinstance(error, msgspec.ValidationError):
        raise ProblemError(400, f"the body is no valid JSON: {_reason(error)}") from error
    text = str(error)
    place = _PLACE.search(text)
    reason = _PLACE.sub("", text)
    found = _RECORD.fullmatch(place["path"]) if place else None
    if found is None:
        where = f" at ${place['path']}" if place else ""
        raise ProblemError(422, f"{reason}{where}; expected {expected}") from error
    record = int(found["record"])
    members: dict[str, Any] = {"record": record}
    at = f"record {record}"
    if found["field"]:
        members["field"] = found["field"]
        at += f": field {found['field']!r}"
    raise ProblemError(422, f"{at}: {reason}", **members) from error


def _explain(body: bytes, error: Exception) -> NoReturn:
    """Looks closer at a body that did not decode: NaN and numbers out of range are named with record and field."""
    out_of_range = isinstance(error, msgspec.ValidationError) and "out of range" in str(error)
    malformed = isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError)
    spelled = b"NaN" in body or b"Infinity" in body
    if len(body) <= _MOST_EXPLAINED_BYTES and (out_of_range or (malformed and spelled)):
        try:
            lenient = msgspec.convert(json.loads(body), Body)
        except (ValueError, RecursionError, msgspec.MsgspecError):
            refuse(error)
        for index, record in enumerate(lenient.records):
            for field, value in record.items():
                if isinstance(value, float) and not isfinite(value):
                    what = "NaN is no number" if isnan(value) else "the number is too large"
                    raise ProblemError(
                        422, f"record {index}: field {field!r}: {what}", record=index, field=field
                    ) from error
    refuse(error)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)
