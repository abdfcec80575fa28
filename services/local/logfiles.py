"""The log files of an instance: kept below a size, and read as one stream by people."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROTATE_BYTES = 10_000_000
KEPT = 3
_SHOWN_FIRST = ("timestamp", "level", "event", "service", "logger")


def rotate(path: Path, *, limit_bytes: int = ROTATE_BYTES, kept: int = KEPT) -> bool:
    """Moves a file's lines to `<name>.1` when it has grown past the limit, and older ones one further.

    The process keeps its descriptor, opened for appending, so the file is copied and emptied, not renamed; a line
    written between the two is lost, which takes less than a millisecond in ten megabytes.
    """
    try:
        if path.stat().st_size < limit_bytes:
            return False
    except OSError:
        return False
    for number in range(kept - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return True


def readable(line: str, name: str) -> str:
    """A line of a log file for people: JSON as time, level, process, message and fields; any other as it is."""
    try:
        fields: Any = json.loads(line)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return f"{name:<11} {line}"
    moment = str(fields.get("timestamp", ""))[11:23]
    level = str(fields.get("level", ""))[:4].upper()
    rest = " ".join(f"{key}={value}" for key, value in fields.items() if key not in (*_SHOWN_FIRST, "exception"))
    trace = f"\n{fields['exception']}" if fields.get("exception") else ""
    return f"{moment} {level:<4} {name:<11} {fields.get('event', '')}{'  ' + rest if rest else ''}{trace}"


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            size = file.tell()
            file.seek(max(0, size - 500 * count - 1000))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []


def moment_of(line: str) -> str:
    """What lines of several files are ordered by; lines without a time of ours come first."""
    try:
        return str(json.loads(line)["timestamp"])
    except (ValueError, KeyError, TypeError):
        return ""


def follow(paths: Mapping[str, Path], *, every_s: float = 0.2) -> Iterator[tuple[str, str]]:
    """What several files get from now on, line by line, with the name of the process; never ends by itself."""
    places = {name: path.stat().st_size if path.exists() else 0 for name, path in paths.items()}
    return _follow(paths, places, every_s)


def _follow(paths: Mapping[str, Path], places: dict[str, int], every_s: float) -> Iterator[tuple[str, str]]:
    while True:
        for name, path in paths.items():
            for line in _new_lines(path, name, places):
                yield name, line
        time.sleep(every_s)


def _new_lines(path: Path, name: str, places: dict[str, int]) -> list[str]:
    """The whole lines since the last time; half a line waits for its end."""
    try:
        size = path.stat().st_size
    except OSError:
        return []
    if size < places[name]:  # it was emptied
        places[name] = 0
    with path.open("rb") as file:
        file.seek(places[name])
        fresh = file.read()
    whole = fresh[: fresh.rfind(b"\n") + 1]
    places[name] += len(whole)
    return whole.decode(errors="replace").splitlines()
