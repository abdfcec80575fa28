"""What is served and how it is: /models, /health, /ready, /metrics."""

from collections.abc import Mapping
from typing import Any

import msgspec

from common.bundles.layout import version_number
from common.bundles.manifest import Manifest
from common.bundles.reader import list_versions, read_manifest
from common.errors import BundleError
from services.inference.metrics import exposition
from services.inference.service import Service
from services.inference.serving.serving_map import ModelView, Served
from services.inference.web.answers import Answer
from services.inference.web.calls import Call
from services.inference.web.problems import ProblemError

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_READY = "ready"


async def models(service: Service, call: Call) -> Answer:
    """All models, the version of each that answers, and what it was made of."""
    del call
    serving = service.serving
    document: dict[str, Any] = {
        "models": [describe(service, name, view) for name, view in sorted(serving.models.items())],
        "default": serving.default,
    }
    if service.manager.folder_error:
        document["error"] = service.manager.folder_error
    return Answer(msgspec.json.encode(document))


async def model(service: Service, call: Call) -> Answer:
    """One model, with the versions that are on disk."""
    name = call.params["name"]
    view = service.serving.models.get(name)
    if view is None:
        known = sorted(service.serving.models)
        raise ProblemError(404, f"there is no model {name!r}; known are {', '.join(known) or 'none yet'}", known=known)
    try:
        on_disk = await service.blocking(list_versions, service.settings.models_dir, name)
    except BundleError:
        on_disk = ()
    return Answer(msgspec.json.encode({**describe(service, name, view), "on_disk": on_disk}))


async def version(service: Service, call: Call) -> Answer:
    """The verified manifest of a version: its lineage down to the snapshot of rows."""
    name, given = call.params["name"], call.params["version"]
    number = version_number(given)
    if number is None:
        raise ProblemError(404, f"{given[:20]!r} is no version's number")
    if name not in service.serving.models:
        raise ProblemError(404, f"there is no model {name!r}", known=sorted(service.serving.models))
    settings = service.settings
    try:
        manifest = await service.blocking(read_manifest, settings.models_dir, name, number, settings.signing_keys)
    except BundleError as error:
        raise ProblemError(404, f"{name}@{number}: {error.message}") from error
    view = service.serving.models[name]
    live = view.live is not None and view.live.version == manifest.version
    return Answer(msgspec.json.encode({**_lineage(manifest), "live": live}))


async def health(service: Service, call: Call) -> Answer:
    """The process answers; whether it has models is what /ready says."""
    del call
    serving = service.serving
    live = {name: view.live.version for name, view in sorted(serving.models.items()) if view.live is not None}
    return Answer(msgspec.json.encode({"status": "ok", "models": live}))


async def ready(service: Service, call: Call) -> Answer:
    """200 once a model is live, 503 before."""
    del call
    if service.serving.default is None:
        raise service.no_model_yet()
    errors = {name: view.error for name, view in sorted(service.serving.models.items()) if view.error}
    return Answer(msgspec.json.encode({"status": "ready", "default": service.serving.default, "errors": errors}))


async def metrics(service: Service, call: Call) -> Answer:
    """The counts of all processes that share the port."""
    del call
    total = await service.all_figures()
    return Answer(exposition(total, service.live_models()), content_type=PROMETHEUS)


def describe(service: Service, name: str, view: ModelView) -> dict[str, Any]:
    """One entry of /models."""
    live = view.live
    entry: dict[str, Any] = {
        "name": name,
        "version": None if live is None else live.version,
        "state": _READY if live is not None else "error" if view.error else "loading",
        "error": view.error or None,
        "aliases": _aliases(view),
        "versions": [
            {"version": harness.version, "state": harness.state.value, "reason": harness.reason or None}
            for harness in service.manager.managed()
            if harness.model == name
        ],
    }
    return entry if live is None else {**entry, **_served(live)}


def _aliases(view: ModelView) -> Mapping[str, Any]:
    """What the names after @ stand for."""
    if view.aliases is None:
        return {}
    found = view.aliases
    return {
        "generation": found.generation,
        "live": found.live,
        "previous": found.previous,
        "candidate": found.candidate,
        "shadow_share": found.shadow_share,
    }


def _served(live: Served) -> dict[str, Any]:
    manifest = live.manifest
    return {
        "loaded_at": live.loaded_at,
        "load_milliseconds": live.load_ms,
        "created_at": manifest.created_at,
        "dataset": manifest.dataset,
        "family": manifest.family,
        "task": manifest.task,
        "target": manifest.target,
        "metrics": manifest.metrics,
        "classes": manifest.classes,
        "features": [_feature(feature) for feature in msgspec.to_builtins(manifest.features)],
        "predictor": {"kind": manifest.predictor.kind, "why": manifest.predictor.why or None},
        "snapshot": manifest.snapshot,
        "rows": manifest.rows,
    }


def _feature(feature: dict[str, Any]) -> dict[str, Any]:
    """A feature with the words a caller needs: what it may hold, and whether it may be null."""
    entry = {"name": feature["name"], "type": "number" if feature["kind"] == "numeric" else "string"}
    entry.update({key: feature[key] for key in ("minimum", "maximum") if feature.get(key) is not None})
    if feature["kind"] == "categorical":
        entry["categories"] = feature.get("levels", ())
    return {**entry, "nullable": feature.get("fill") is not None}


def _lineage(manifest: Manifest) -> dict[str, Any]:
    """A manifest as people ask for it: without its signature, its samples only as a number."""
    document: dict[str, Any] = msgspec.to_builtins(manifest)
    document.pop("hmac", None)
    document["samples"] = len(manifest.samples.records)
    return document
