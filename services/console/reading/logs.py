"""The log of one run: lines of all services' files that name it."""

from pathlib import Path
from typing import Any

import msgspec

# Of each file this much is read from its end: a run that people look at is recent.
_READ_BYTES = 16 * 2**20
_MOST_LINES = 1000
_PLAIN = frozenset({"event", "level", "timestamp", "service", "logger", "run_id"})


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what was said, and the fields it was said with."""

    time: str
    level: str
    service: str
    text: str
    fields: dict[str, Any]


class RunLog(msgspec.Struct, frozen=True, kw_only=True):
    """The lines in the order of their time; `why` where there is nothing to read."""

    lines: list[LogLine]
    why: str = ""


def read_run_log(home: Path, run_id: str) -> RunLog:
    """The lines about a run, at most the last thousand. Blocking: for a thread."""
    folder = home / "logs"
    if not folder.is_dir():
        return RunLog(lines=[], why="these processes write their logs to standard error; look where that goes")
    needle = run_id.encode()
    lines = [
        line
        for path in sorted(folder.glob("*.log*"))
        if path.is_file() and path.suffix != ".gz"
        for raw in _tail(path).split(b"\n")
        if needle in raw and (line := _line(raw, path.name.partition(".")[0])) is not None
    ]
    lines.sort(key=lambda line: line.time)
    return RunLog(lines=lines[-_MOST_LINES:], why="" if lines else "no line of the log files names this run")


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _READ_BYTES))
            return file.read(_READ_BYTES)
    except OSError:
        return b""


def _line(raw: bytes, service: str) -> LogLine | None:
    """A JSON line; None for what is none, such as the rest of a line that was cut."""
    try:
        values = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return LogLine(
        time=str(values.get("timestamp", "")),
        level=str(values.get("level", "info")),
        service=str(values.get("service", service)),
        text=str(values.get("event", "")),
        fields={name: value for name, value in values.items() if name not in _PLAIN},
    )
