"""Negative controls: each takes one protection away, in the harness's own processes. The run must then report losses.

They replace functions of modules and exist nowhere in the product.
"""

import asyncio
import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def sweep_off() -> None:
    """Beat sends nothing again."""
    from common.events.sweep import Swept

    async def nothing(*_: Any, **__: Any) -> Swept:
        return Swept()

    replace("beat.scheduler", "sweep_once", nothing)


def inbox_off() -> None:
    """A redelivered event is handled again, whether it has been handled or not."""
    replace("common.events.leases", "_OPEN", "true")
    replace("common.events.leases", "_FENCED", "id = :id AND claim_id = :claim")


def fencing_off() -> None:
    """A holder whose lease went to another attempt commits all the same."""

    async def always(*_: Any, **__: Any) -> bool:
        return True

    replace("common.events.unit", "fence", always)


def guard_off() -> None:
    """Whatever lies in a queue reaches Celery."""
    from common.events.broker import GuardedChannel

    def unguarded(_self: Any, parse: Callable[..., Any]) -> Callable[..., Any]:
        return parse

    setattr(GuardedChannel, GuardedChannel._guarded.__name__, unguarded)


def replace(module: str, name: str, value: object) -> None:
    """Puts something else in the place of what a module knows by a name. Raises AttributeError where it knows none."""
    found = importlib.import_module(module)
    getattr(found, name)
    setattr(found, name, value)


def hash_check_off() -> None:
    """Inference loads whatever lies in the folder under the name that the manifest gives."""
    from common.bundles.layout import version_dir
    from common.bundles.manifest import Manifest

    def unverified(models_dir: Path, manifest: Manifest) -> dict[str, bytes]:
        name = manifest.predictor.file
        return {name: (version_dir(models_dir, manifest.model, manifest.version) / name).read_bytes()}

    replace("services.inference.serving.loading", "predictor_files", unverified)


# As a model of some hundred megabytes takes to load. One of penguins takes 2 ms, which a few requests may well miss.
LOAD_S = 0.1


def managed_is_serving() -> None:
    """A version is shown to requests as soon as it is known, loaded or not; and loading takes its time."""
    from services.inference.serving import manager, policy
    from services.inference.serving.loading import Loader

    load = Loader.load

    async def slowly(self: Loader, model: str, version: int) -> Any:
        await asyncio.sleep(LOAD_S)
        return await load(self, model, version)

    setattr(Loader, "load", slowly)  # noqa: B010 - mypy refuses the plain assignment to a method

    def eager(aliases: Any, views: Any, serving: Any) -> Any:
        return dataclasses.replace(policy.plan(aliases, views, serving), serve=aliases.live)

    replace(manager.__name__, "plan", eager)


CONTROLS: dict[str, Callable[[], None]] = {
    "sweep off": sweep_off,
    "inbox off": inbox_off,
    "fencing off": fencing_off,
    "guard off": guard_off,
    "hash check off": hash_check_off,
    "managed is serving": managed_is_serving,
}


def apply(name: str) -> None:
    """Takes a protection away; nothing for an empty name."""
    if name:
        CONTROLS[name]()
