"""`rookery predict`: a CSV in, the same CSV with predictions out."""

import csv
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console

from common.errors import DataError, NotFoundError
from services.local.api import ApiError, call_api
from services.local.session import open_session

BATCH = 1000


def predict_command(file: Path, model: str | None, output: Path | None) -> None:
    """Asks the API for all rows, and writes the file only when all are answered."""
    session = open_session()
    output = output or file.with_name(f"{file.stem}.predictions.csv")
    features = features_of(call_api(session.settings, "/models"), model)
    path = f"/predict?model={quote(model)}" if model else "/predict"
    fresh = output.with_name(f".{output.name}.{os.getpid()}")
    answered, by = 0, ""
    try:
        with (
            file.open(newline="", encoding="utf-8-sig") as source,
            fresh.open("w", newline="", encoding="utf-8") as target,
        ):
            reader = csv.DictReader(source)
            columns = _columns(file, reader, features)
            writer: csv.DictWriter[str] | None = None
            for rows in _batches(reader):
                records = [to_record(row, features, line=answered + index + 2) for index, row in enumerate(rows)]
                try:
                    answer = call_api(session.settings, path, {"records": records})
                except ApiError as error:
                    raise DataError(in_file(error.message, first_line=answered + 2)) from error
                added = [added_cells(answer, index, columns) for index in range(len(rows))]
                if writer is None:
                    writer = csv.DictWriter(target, [*columns, *added[0]])
                    writer.writeheader()
                writer.writerows({**row, **more} for row, more in zip(rows, added, strict=True))
                answered += len(rows)
                by = f"{answer['model']}, version {answer['version']}"
        if not answered:
            raise DataError(f"{file}: has no rows")
        fresh.replace(output)
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is no CSV in UTF-8; predict reads those, neither Parquet nor compressed") from error
    finally:
        fresh.unlink(missing_ok=True)
    Console().print(f"{answered} rows answered by {by}: {output}", highlight=False, soft_wrap=True)


def features_of(listed: Mapping[str, Any], model: str | None) -> dict[str, str]:
    """What the model wants: the type (number, string) of each feature by name. Raises NotFoundError."""
    name = (model or listed.get("default") or "").partition("@")[0].removesuffix(".pkl")
    for entry in listed["models"]:
        if entry["name"] == name and entry.get("features"):
            return {feature["name"]: feature["type"] for feature in entry["features"]}
    known = ", ".join(entry["name"] for entry in listed["models"]) or "none yet"
    raise NotFoundError(f"there is no model {name!r}; known are {known}" if name else "no model is served yet")


def _columns(file: Path, reader: "csv.DictReader[str]", features: Mapping[str, str]) -> list[str]:
    """The header. Raises DataError where a feature is not in it."""
    columns = list(reader.fieldnames or [])
    missing = [name for name in features if name not in columns]
    if missing:
        raise DataError(f"{file}: has no column {', '.join(missing)}; it has {', '.join(columns) or 'no header'}")
    return columns


def in_file(refusal: str, *, first_line: int) -> str:
    """A refusal of the API in the file's terms: it counts the records of one request, a person the lines."""
    return re.sub(r"^record (\d+)", lambda found: f"line {first_line + int(found[1])}", refusal)


def _batches(reader: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(itertools.islice(reader, BATCH)):
        yield batch


def to_record(row: Mapping[Any, Any], features: Mapping[str, str], *, line: int) -> dict[str, Any]:
    """The record of a row: of its cells those the model wants, an empty one as null, numbers as numbers.

    Raises DataError that names line and column.
    """
    if None in row:
        raise DataError(f"line {line}: has more cells than the header")
    record: dict[str, Any] = {}
    for name, kind in features.items():
        cell = (row[name] or "").strip()
        if not cell:
            record[name] = None
        elif kind == "number":
            try:
                record[name] = float(cell)
            except ValueError as error:
                raise DataError(f"line {line}, column {name}: {cell!r} is no number") from error
        else:
            record[name] = cell
    return record


def added_cells(answer: Mapping[str, Any], index: int, columns: Sequence[str]) -> dict[str, Any]:
    """The cells that a row gets: the prediction, and a probability per class. A name that is taken gets a suffix."""
    cells = {"prediction": answer["predictions"][index]}
    if answer.get("probabilities"):
        pairs = zip(answer["classes"], answer["probabilities"][index], strict=True)
        cells |= {f"probability_{label}": value for label, value in pairs}
    return {(f"{name}_by_model" if name in columns else name): value for name, value in cells.items()}
