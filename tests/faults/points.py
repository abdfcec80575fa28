"""Points to crash at within the product's own handlers: before or after a function of theirs, or halfway in a file.

They replace functions of modules in the harness's own processes and exist nowhere in the product.
"""

import functools
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from common.bundles import layout
from tests.faults.controls import replace
from tests.faults.crashing import crash_at


class Point(msgspec.Struct, frozen=True):
    """Where a service is ended. `event` is the type of the event that is handled there."""

    name: str
    event: str
    module: str
    function: str
    when: Literal["before", "after"]

    @property
    def service(self) -> str:
        """The service that gets there."""
        return self.name.partition(".")[0]


_INGEST, _PREPROCESS, _TRAIN = "ingest.requested", "dataset.ingested", "training.requested"
_INGESTING, _CLEANING = "services.ingest.handlers", "services.preprocess.handlers"
_TRAINING, _PUBLISHING = "services.train.handlers", "services.train.publishing"
_EXPOSING = "common.snapshots.exposing"

POINTS = (
    Point("ingest.number reserved", _INGEST, _INGESTING, "load", "before"),
    Point("ingest.rows loaded", _INGEST, _INGESTING, "load", "after"),
    Point("ingest.snapshot loaded, before the commit", _INGEST, _INGESTING, "want", "after"),
    Point("ingest.committed, before the swap", _INGEST, _INGESTING, "expose", "before"),
    Point("ingest.amid the swap", _INGEST, _EXPOSING, "_exchange", "after"),
    Point("ingest.after the swap", _INGEST, _EXPOSING, "_swap", "after"),
    Point("preprocess.features found", _PREPROCESS, _CLEANING, "encode", "before"),
    Point("preprocess.rows encoded", _PREPROCESS, _CLEANING, "encode", "after"),
    Point("preprocess.encoded, before the commit", _PREPROCESS, _CLEANING, "want", "after"),
    Point("preprocess.committed, before the swap", _PREPROCESS, _CLEANING, "expose", "before"),
    Point("preprocess.amid the swap", _PREPROCESS, _EXPOSING, "_exchange", "after"),
    Point("preprocess.after the swap", _PREPROCESS, _EXPOSING, "_swap", "after"),
    Point("train.version reserved", _TRAIN, _TRAINING, "reserve_version", "after"),
    Point("train.fitted", _TRAIN, _TRAINING, "write", "before"),
    Point("train.renamed, before anything else", _TRAIN, _PUBLISHING, "write_version", "after"),
    Point("train.compared", _TRAIN, _PUBLISHING, "judge", "after"),
    Point("train.decided, before the commit", _TRAIN, _PUBLISHING, "_decide", "after"),
    Point("train.committed, before go_live", _TRAIN, "common.bundles.live", "go_live", "before"),
    Point("train.aliases written, before the link", _TRAIN, "common.bundles.writer", "write_aliases", "after"),
    Point("train.linked", _TRAIN, "common.bundles.writer", "link_live", "after"),
    Point("train.before the report", "model.published", _TRAINING, "render_report", "before"),
)
# A file of a version of which half is written when the process ends.
HALVES = tuple((f"train.amid {name}", name) for name in (layout.BUNDLE, layout.MANIFEST))
# Every point with the type of the event that is handled when a process gets there.
EVENTS = {point.name: point.event for point in POINTS} | {name: _TRAIN for name, _ in HALVES}


def install(service: str, folder: Path) -> None:
    """Puts the points of a service into this process; those that `folder` names end it."""
    for point in POINTS:
        if point.service == service:
            function = getattr(importlib.import_module(point.module), point.function)
            replace(point.module, point.function, _pointed(function, point, folder))
    if service == "train":
        _halve(folder)


def _pointed(function: Callable[..., Any], point: Point, folder: Path) -> Callable[..., Any]:
    """The function with a point before it or after it."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*words: Any, **named: Any) -> Any:
            if point.when == "before":
                crash_at(folder, point.name)
            result = await function(*words, **named)
            if point.when == "after":
                crash_at(folder, point.name)
            return result

        return awaited

    @functools.wraps(function)
    def called(*words: Any, **named: Any) -> Any:
        if point.when == "before":
            crash_at(folder, point.name)
        result = function(*words, **named)
        if point.when == "after":
            crash_at(folder, point.name)
        return result

    return called


def _halve(folder: Path) -> None:
    """Lets a version's file be written in two halves, with a point between."""
    from common.bundles import writer

    write_synced, points = writer.write_synced, {file: point for point, file in HALVES}

    def halved(path: Path, content: bytes) -> None:
        point = points.get(path.name)
        if point is not None and (folder / point).exists():
            write_synced(path, content[: len(content) // 2])
            crash_at(folder, point)
            path.unlink()  # another process took the point
        write_synced(path, content)

    replace(writer.__name__, write_synced.__name__, halved)
