"""Models: what answers, its versions, its history, and deciding otherwise."""

import asyncio
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from common.bundles.live import go_live
from common.bundles.manifest import Manifest
from common.bundles.reader import read_manifest
from common.errors import BundleError, NotFoundError
from common.logs import get_logger
from common.operations import models as operations
from common.operations.models import Decision, Model, ModelVersion
from services.console.reading import comparing, reports
from services.console.reading.comparing import Comparison
from services.console.reading.overview import DatasetLine, dataset_lines
from services.console.reading.reports import ReportFile
from services.console.web.problems import FieldError, ProblemError
from services.console.web.routing import Call

log = get_logger(__name__)


class VersionsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`before`: a version's number."""

    before: int | None = None
    limit: int = 50


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`before`: a time."""

    model: str | None = None
    before: datetime | None = None
    limit: int = 50


class CompareQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The two versions."""

    a: int
    b: int


class Decide(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision. The reason stays in the history. `pin`: later versions wait."""

    reason: str
    version: int | None = None
    pin: bool = False


class Shadow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The version to run beside the live one (None ends that), and the share of requests that it sees."""

    reason: str = ""
    version: int | None = None
    share: float = 0.1


class ModelDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A model with its versions, its history and its last hour."""

    model: Model
    dataset: DatasetLine | None
    versions: list[ModelVersion]
    history: list[Decision]
    serving: dict[str, Any]
    series: dict[str, list[float | None]]


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A record of training with what the version answers; `sure` is its highest probability."""

    record: dict[str, Any]
    answer: str
    sure: float | None


class VersionDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A version: its row, its manifest where that verifies, its report, a few records to try."""

    version: ModelVersion
    manifest: dict[str, Any] | None
    damage: str
    report: list[ReportFile]
    card: str
    examples: list[Example]


class Went(msgspec.Struct, frozen=True, kw_only=True):
    """The model after a decision; `written` is false where the folder could not be written: the sweep repeats it."""

    model: Model
    written: bool


async def list_models(call: Call) -> list[Model]:
    """All models."""
    async with call.parts.engine.connect() as connection:
        return await operations.list_models(connection)


async def show_model(call: Call) -> ModelDetail:
    """One model."""
    name = call.path["model"]
    async with call.parts.engine.connect() as connection:
        model = await operations.get_model(connection, name)
        lines = await dataset_lines(connection, call.parts.settings)
        versions = await operations.list_versions(connection, name)
        history = await operations.history(connection, model=name, limit=200)
    return ModelDetail(
        model=model,
        dataset=next((line for line in lines if line.name == model.dataset), None),
        versions=versions,
        history=history,
        serving=_entry(call, name),
        series=call.parts.serving.series(name),
    )


async def list_versions(call: Call) -> list[ModelVersion]:
    """Versions of a model."""
    query: VersionsQuery = call.query
    async with call.parts.engine.connect() as connection:
        await operations.get_model(connection, call.path["model"])
        return await operations.list_versions(
            connection, call.path["model"], before=query.before, limit=max(1, min(query.limit, 200))
        )


async def show_version(call: Call) -> VersionDetail:
    """One version."""
    name, number = call.path["model"], call.number("version")
    settings = call.parts.settings
    async with call.parts.engine.connect() as connection:
        version = await operations.get_version(connection, name, number)
    manifest, damage, examples = None, "", []
    try:
        read = await asyncio.to_thread(read_manifest, settings.models_dir, name, number, settings.signing_keys)
        manifest = msgspec.to_builtins(read)
        manifest.pop("hmac", None)
        manifest["samples"] = len(read.samples.records)
        examples = _examples(read)
    except BundleError as error:
        damage = error.message
    files = await asyncio.to_thread(reports.list_files, settings.models_dir, name, number)
    card = await asyncio.to_thread(reports.read_card, settings.models_dir, name, number)
    return VersionDetail(version=version, manifest=manifest, damage=damage, report=files, card=card, examples=examples)


async def show_report_file(call: Call) -> web.StreamResponse:
    """One file of a version's report."""
    name, number, file = call.path["model"], call.number("version"), call.path["file"]
    found = await asyncio.to_thread(reports.read_file, call.parts.settings.models_dir, name, number, file)
    if found is None:
        raise NotFoundError(f"the report of {name} {number} has no file {file}")
    kind, content = found
    # A picture or a text that is opened by itself runs nothing.
    policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return web.Response(body=content, content_type=kind, headers={"Content-Security-Policy": policy})


async def list_history(call: Call) -> list[Decision]:
    """Decisions about one or all models."""
    query: HistoryQuery = call.query
    async with call.parts.engine.connect() as connection:
        return await operations.history(
            connection, model=query.model, before=query.before, limit=max(1, min(query.limit, 500))
        )


async def compare(call: Call) -> Comparison:
    """Two versions on the same test rows."""
    query: CompareQuery = call.query
    name, settings = call.path["model"], call.parts.settings
    async with call.parts.engine.connect() as connection:
        for number in (query.a, query.b):
            await operations.get_version(connection, name, number)
    return await asyncio.to_thread(
        comparing.compare, settings.models_dir, name, query.a, query.b, settings.signing_keys
    )


async def promote(call: Call) -> Went:
    """Makes a version live."""
    decide: Decide = call.body
    version = _needed(decide.version)
    return await _decide(call, operations.promote, version=version, pin_it=decide.pin, reason=_said(decide.reason))


async def rollback(call: Call) -> Went:
    """Goes back to an earlier version."""
    decide: Decide = call.body
    return await _decide(call, operations.rollback, version=decide.version, reason=_said(decide.reason))


async def pin(call: Call) -> Went:
    """Keeps the live version."""
    return await _decide(call, operations.pin, reason=_said(call.body.reason))


async def unpin(call: Call) -> Went:
    """Lets later versions go live again."""
    return await _decide(call, operations.unpin, reason=_said(call.body.reason))


async def keep(call: Call) -> Went:
    """Leaves a held version held."""
    decide: Decide = call.body
    return await _decide(call, operations.keep, version=_needed(decide.version), reason=_said(decide.reason))


async def shadow(call: Call) -> Went:
    """Runs a version unseen beside the live one, or ends that."""
    asked: Shadow = call.body
    return await _decide(call, operations.shadow, version=asked.version, share=asked.share, reason=asked.reason)


async def _decide(call: Call, operation: Any, **arguments: Any) -> Went:
    """A decision in one transaction; then the folder follows, or the sweep makes it."""
    name, settings = call.path["model"], call.parts.settings
    async with call.parts.engine.begin() as connection:
        model: Model = await operation(connection, name, by=call.actor, **arguments)
    try:
        await go_live(call.parts.engine, settings, name)
    except (OSError, BundleError) as error:
        log.warning("the folder follows later, by the sweep", model=name, error=str(error))
        return Went(model=model, written=False)
    return Went(model=model, written=True)


def _examples(manifest: Manifest) -> list[Example]:
    """The sample records of a manifest with their answers in words."""
    samples, classes = manifest.samples, manifest.classes
    found = []
    for at, (record, label) in enumerate(zip(samples.records, samples.labels, strict=True)):
        answer = classes[int(label)] if classes else f"{label:.6g}"
        found.append(
            Example(
                record=record, answer=answer, sure=max(samples.probabilities[at]) if samples.probabilities else None
            )
        )
    return found


def _said(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise ProblemError(
            422, "say why, for the history", errors=[FieldError("reason", "a sentence for whoever reads it later")]
        )
    return reason[:1000]


def _needed(version: int | None) -> int:
    if version is None:
        raise ProblemError(422, "say which version", errors=[FieldError("version", "the number of a version")])
    return version


def _entry(call: Call, name: str) -> dict[str, Any]:
    """What inference says of the model."""
    entries: list[dict[str, Any]] = call.parts.serving.models.get("models", [])
    now = call.parts.serving.now()
    entry = next((entry for entry in entries if entry.get("name") == name), {})
    return {
        "up": now["up"],
        "default": call.parts.serving.models.get("default") == name,
        "rate": now["records"].get(name),
        "p50": now["p50"],
        "p99": now["p99"],
        "shadow": {key: counts for key, counts in now["shadow"].items() if key.startswith(f"{name}@")},
        **{key: entry.get(key) for key in ("version", "state", "error", "loaded_at", "load_milliseconds", "predictor")},
    }
