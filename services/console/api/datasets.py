"""Data sets: their tables and snapshots, and whether their schedule runs."""

from typing import Any

import msgspec

from common.datasets import DatasetSpec, load_specs
from common.errors import ConflictError, NotFoundError, SpecError
from common.operations import datasets as operations
from common.settings import Settings
from services.console.reading import data as reading
from services.console.reading.attention import Rejection
from services.console.reading.columns import Columns
from services.console.reading.data import PastRejection, Snapshot, TableLine
from services.console.reading.overview import DatasetLine, dataset_lines, read_rejections
from services.console.web.routing import Call


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, for whoever reads it later."""

    reason: str = ""


class DatasetDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A data set. `spec` is its file, as text."""

    dataset: DatasetLine
    spec: str
    rejection: Rejection | None
    tables: list[TableLine]
    snapshots: list[Snapshot]
    rejections: list[PastRejection]


class SnapshotDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot with its columns; `columns` is None once its table is dropped."""

    snapshot: Snapshot
    columns: Columns | None


def require_spec(settings: Settings, name: str) -> DatasetSpec:
    """The spec of a data set. Raises NotFoundError or SpecError."""
    specs = load_specs(settings.datasets_dir)
    spec = specs.get(name)
    if spec is None:
        raise NotFoundError(f"there is no data set {name}; known are {', '.join(specs) or 'none yet'}")
    if isinstance(spec, SpecError):
        raise spec
    return spec


async def list_datasets(call: Call) -> list[DatasetLine]:
    """All data sets."""
    async with call.parts.engine.connect() as connection:
        return await dataset_lines(connection, call.parts.settings)


async def show_dataset(call: Call) -> DatasetDetail:
    """One data set."""
    name = call.path["dataset"]
    async with call.parts.engine.connect() as connection:
        lines = await dataset_lines(connection, call.parts.settings)
        line = next((line for line in lines if line.name == name), None)
        if line is None:
            raise NotFoundError(
                f"there is no data set {name}; known are {', '.join(line.name for line in lines) or 'none yet'}"
            )
        rejections = await read_rejections(connection, name)
        return DatasetDetail(
            dataset=line,
            spec=_spec_text(call, name),
            rejection=rejections[0] if rejections else None,
            tables=await reading.list_tables(connection, name),
            snapshots=await reading.list_snapshots(connection, name),
            rejections=await reading.list_rejections(connection, name),
        )


async def show_snapshot(call: Call) -> SnapshotDetail:
    """One snapshot with its columns."""
    name, number = call.path["dataset"], call.number("snapshot")
    async with call.parts.engine.connect() as connection:
        snapshot = await reading.get_snapshot(connection, name, number)
        if snapshot.state != "ready":
            return SnapshotDetail(snapshot=snapshot, columns=None)
        columns: list[dict[str, Any]] = snapshot.columns
        found = await call.parts.columns.get(connection, name, number, columns, snapshot.rows or 0)
    return SnapshotDetail(snapshot=snapshot, columns=found)


async def pause(call: Call) -> DatasetLine:
    """Stops a data set's schedule."""
    name = call.path["dataset"]
    require_spec(call.parts.settings, name)
    reason: Reason = call.body
    async with call.parts.engine.begin() as connection:
        if (await _line(call, connection, name)).paused:
            raise ConflictError(f"{name} is paused already")
        await operations.pause(connection, name, by=call.actor, reason=reason.reason or "no reason given")
        return await _line(call, connection, name)


async def resume(call: Call) -> DatasetLine:
    """Lets a data set's schedule go on."""
    name = call.path["dataset"]
    async with call.parts.engine.begin() as connection:
        if not (await _line(call, connection, name)).paused:
            raise ConflictError(f"{name} is not paused")
        await operations.resume(connection, name)
        return await _line(call, connection, name)


async def _line(call: Call, connection: Any, name: str) -> DatasetLine:
    lines = await dataset_lines(connection, call.parts.settings)
    found = next((line for line in lines if line.name == name), None)
    if found is None:
        raise NotFoundError(f"there is no data set {name}")
    return found


def _spec_text(call: Call, name: str) -> str:
    """The text of a spec's file; the name is one that the folder lists."""
    path = call.parts.settings.datasets_dir / f"{name}.toml"
    known = name in load_specs(call.parts.settings.datasets_dir) and path.is_file()
    return path.read_text(errors="replace")[:100_000] if known else ""
