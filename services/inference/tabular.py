"""CSV in, CSV out: the rows that came, with the prediction and the probability of each class added."""

import asyncio
import csv
import io
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from common.errors import RecordError
from common.features import Feature, Floats
from services.inference import schemas
from services.inference.batching import Outcome, joined
from services.inference.service import SLICE_RECORDS, Service
from services.inference.serving.serving_map import Served
from services.inference.shadowing import shadow
from services.inference.web.answers import JSON, Answer
from services.inference.web.calls import Call, asked_model
from services.inference.web.negotiation import CSV, preferred
from services.inference.web.problems import ProblemError

_CSV = f"{CSV}; charset=utf-8"
# What Python's float() takes beyond this (underscores, nan, blanks between) is no number in a table.
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_LONGEST_CELL = 10_000

Rows = list[list[str]]


async def predict(service: Service, call: Call, body: bytes) -> Answer:
    """Answers the rows of a table with a header, as CSV unless JSON is asked for."""
    form = preferred(call.request.headers.get("Accept"), (CSV, JSON))
    served = await service.pick(asked_model(call, None))
    header, rows = _opened(body)
    features = _places(served, header)
    parts: list[Outcome] = []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, *_added(served)])
    async with service.large_turn():
        start = 0
        while slice_ := _next_slice(rows, start, len(header)):
            try:
                matrix = served.encoder.encode(_records(slice_, features))
            except RecordError as error:
                raise schemas.moved(error, start) from error
            outcome = await service.slice(served, matrix)
            parts.append(outcome)
            if served.model in service.serving.shadowed:
                shadow(service, served, matrix, outcome, partial(_encoded_again, header, slice_))
            if form == CSV:
                writer.writerows(_with_answers(slice_, outcome))
            start += len(slice_)
            await asyncio.sleep(0)
    if not parts:
        raise ProblemError(422, "the table has a header but no rows", field="records")
    if form == JSON:
        return Answer(served.envelope.document(joined(parts)))
    return Answer(out.getvalue().encode(), content_type=_CSV, headers=_named(served))


async def predict_records(service: Service, call: Call, body: bytes) -> Answer:
    """Answers JSON records with a table of the answers alone."""
    decoded = schemas.read(body)
    served = await service.pick(asked_model(call, decoded.model))
    matrix = served.encoder.encode(decoded.records)
    outcome = await service.answers(served, matrix)
    service.account(served, outcome)
    if served.model in service.serving.shadowed:
        few = decoded.records[:SLICE_RECORDS]
        first = outcome.part(0, SLICE_RECORDS)
        shadow(service, served, matrix[:SLICE_RECORDS], first, lambda candidate: candidate.encoder.encode(few))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_added(served))
    writer.writerows(_with_answers([[] for _ in decoded.records], outcome))
    return Answer(out.getvalue().encode(), content_type=_CSV, headers=_named(served))


def _opened(body: bytes) -> tuple[list[str], Iterator[list[str]]]:
    """The header and the rows that follow. Raises ProblemError where there is no header that can be read."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemError(400, "the table is not UTF-8") from error
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        raise ProblemError(400, f"the table's header cannot be read: {error}") from error
    if not header:
        raise ProblemError(422, "the table is empty: send a header and at least one row", field="records")
    twice = (
        next((name for name in header if header.count(name) > 1), None) if len(header) < _LONGEST_CELL else header[0]
    )
    if twice is not None:
        raise ProblemError(422, f"the table has the column {twice!r} twice", field=twice)
    return header, rows


def _places(served: Served, header: Sequence[str]) -> list[tuple[Feature, int]]:
    """Where in a row each feature is; one that may be null may be left out."""
    places = []
    for feature in served.manifest.features:
        if feature.name in header:
            places.append((feature, header.index(feature.name)))
        elif feature.fill is None:
            raise ProblemError(
                422, f"the table has no column {feature.name!r}; it has {', '.join(header)[:500]}", field=feature.name
            )
    return places


def _records(rows: Rows, features: Sequence[tuple[Feature, int]]) -> list[dict[str, Any]]:
    """Rows as JSON would have said them."""
    return [{feature.name: _cell(row[place], feature) for feature, place in features} for row in rows]


def _encoded_again(header: Sequence[str], rows: Rows, candidate: Served) -> Floats:
    """Rows encoded for a candidate. Raises RecordError or ProblemError where it cannot answer them."""
    return candidate.encoder.encode(_records(rows, _places(candidate, header)))


def _next_slice(rows: Iterator[list[str]], start: int, width: int) -> Rows:
    """The next rows, blank lines left out. Raises ProblemError for one of another width."""
    try:
        found = [row for row in islice(rows, SLICE_RECORDS) if row]
        while not found:
            row = next(rows, None)
            if row is None:
                return []
            found = [row] if row else []
    except csv.Error as error:
        raise ProblemError(400, f"the table cannot be read after record {start}: {error}") from error
    for index, row in enumerate(found, start):
        if len(row) != width:
            raise ProblemError(422, f"record {index}: {len(row)} values where the header has {width}", record=index)
    return found


def _cell(text: str, feature: Feature) -> Any:
    """A cell as JSON would have said it: an empty one is null, one that is no number stays text and is refused."""
    if not text or text.isspace():
        return None
    if feature.kind == "categorical":
        return text.strip()
    return float(text) if len(text) <= _LONGEST_CELL and _NUMBER.fullmatch(text) else text


def _added(served: Served) -> list[str]:
    """The columns that are added."""
    with_probabilities = served.manifest.samples.probabilities
    return ["prediction", *(f"probability_{name}" for name in served.manifest.classes if with_probabilities)]


def _with_answers(rows: Rows, outcome: Outcome) -> Iterator[list[object]]:
    probabilities = outcome.probabilities or [[] for _ in rows]
    for row, label, row_probabilities in zip(rows, outcome.labels, probabilities, strict=True):
        yield [*row, label, *row_probabilities]


def _named(served: Served) -> tuple[tuple[str, str], ...]:
    """A table has no place to say who answered; the headers do."""
    return (("X-Model", served.model), ("X-Model-Version", str(served.version)))
