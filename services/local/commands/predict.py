"""`rookery predict`: a CSV in, the same CSV with predictions out."""

import csv
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console

from common.errors import DataError
from services.local.api import call_api
from services.local.session import open_session

BATCH = 1000


def predict_command(file: Path, model: str | None, output: Path | None) -> None:
    """Asks the API for all rows, and writes the file only when all are answered."""
    session = open_session()
    output = output or file.with_name(f"{file.stem}.predictions.csv")
    fresh = output.with_name(f".{output.name}.{os.getpid()}")
    query = f"?model={quote(model)}" if model else ""
    numeric = _numeric_features(call_api(session.settings, "/models"), model)
    written, version = 0, ""
    try:
        with file.open(newline="", encoding="utf-8-sig") as source, fresh.open("w", newline="") as target:
            reader = csv.DictReader(source)
            columns = list(reader.fieldnames or [])
            if not columns:
                raise DataError(f"{file}: has no header")
            writer: csv.DictWriter[str] | None = None
            for rows in _batches(reader):
                records = [to_record(row, numeric, line=written + number + 2) for number, row in enumerate(rows)]
                answer = call_api(session.settings, f"/predict{query}", {"records": records})
                version = f"{answer['model']}, version {answer['version']}"
                added = [_added(answer, index, columns) for index in range(len(rows))]
                if writer is None:
                    writer = csv.DictWriter(target, [*columns, *added[0]], extrasaction="ignore")
                    writer.writeheader()
                writer.writerows({**row, **more} for row, more in zip(rows, added, strict=True))
                written += len(rows)
        if written == 0:
            raise DataError(f"{file}: has no rows")
        fresh.replace(output)
    finally:
        fresh.unlink(missing_ok=True)
    Console().print(f"{written} rows answered by {version}: {output}", highlight=False, soft_wrap=True)


def _batches(reader: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(itertools.islice(reader, BATCH)):
        yield batch


def _numeric_features(listed: Mapping[str, Any], model: str | None) -> set[str] | None:
    """The names of a model's numeric features; None where they are not told, then every number is one."""
    name = (model or listed.get("default") or "").partition("@")[0].removesuffix(".pkl")
    for entry in listed["models"]:
        if entry["name"] == name:
            return {
                feature["name"]
                for feature in entry["features"]
                if feature.get("kind", feature.get("type")) in {"numeric", "number"}
            }
    return None


def to_record(row: Mapping[str, str | None], numeric: set[str] | None, *, line: int) -> dict[str, Any]:
    """A record of the API from a row of text: an empty cell is null, a numeric feature a number.

    Raises DataError that names line and column.
    """
    record: dict[str, Any] = {}
    for column, cell in row.items():
        if column is None:
            raise DataError(f"line {line}: has more cells than the header")
        if cell is None or not cell.strip():
            record[column] = None
        elif numeric is None or column in numeric:
            record[column] = _number(cell, must=numeric is not None, line=line, column=column)
        else:
            record[column] = cell
    return record


def _number(cell: str, *, must: bool, line: int, column: str) -> float | str:
    try:
        return float(cell)
    except ValueError as error:
        if must:
            raise DataError(f"line {line}, column {column}: {cell!r} is no number") from error
        return cell


def _added(answer: Mapping[str, Any], index: int, columns: list[str]) -> dict[str, Any]:
    """The cells that a row gets: the prediction, and a probability per class. A name that is taken gets a suffix."""
    cells = {"prediction": answer["predictions"][index]}
    probabilities = answer.get("probabilities")
    if probabilities:
        told = probabilities[index]
        classes = answer.get("classes") or []
        pairs = told.items() if isinstance(told, Mapping) else zip(classes, told, strict=True)
        cells |= {f"probability_{name}": value for name, value in pairs}
    return {(f"{name}_by_model" if name in columns else name): value for name, value in cells.items()}
