"""The access log, off the hot path: a request leaves a tuple, a thread writes lines.

At most so many lines a second are written, for good answers and for others apart; what was left out is counted in the
next line, so a flood of requests cannot fill the disk or hide the failures among them.
"""

import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

LINES_PER_S = 50
_FIRST_ERROR = 400

# Time since the epoch, method, path, status, seconds taken, request id, traceparent.
Entry = tuple[float, str, str, int, float, str, str]


class AccessLog:
    """Takes entries from the loop and writes them from a thread of its own."""

    def __init__(self, write: Callable[[bytes], Any], *, lines_per_s: int = LINES_PER_S) -> None:
        """Takes what writes bytes, such as `sys.stderr.buffer.write`."""
        self._write = write
        self._lines_per_s = lines_per_s
        self._entries: deque[Entry] = deque()
        self._good_left = self._bad_left = lines_per_s
        self._omitted = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def close(self) -> None:
        """Writes what is left and ends the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.write_once()

    def add(self, entry: Entry) -> None:
        """Notes one answered request."""
        if entry[3] < _FIRST_ERROR:
            if self._good_left <= 0:
                self._omitted += 1
                return
            self._good_left -= 1
        elif self._bad_left <= 0:
            self._omitted += 1
            return
        else:
            self._bad_left -= 1
        self._entries.append(entry)

    def write_once(self) -> None:
        """Writes the entries noted so far, and allows as many again."""
        lines = []
        omitted, self._omitted = self._omitted, 0
        self._good_left = self._bad_left = self._lines_per_s
        while self._entries:
            at, method, path, status, seconds, request_id, traceparent = self._entries.popleft()
            line: dict[str, Any] = {
                "event": "request",
                "level": "info",
                "logger": "services.inference.access",
                "timestamp": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z"),
                "service": "inference",
                "method": method,
                "path": path,
                "status": status,
                "milliseconds": round(seconds * 1000, 3),
                "request_id": request_id,
            }
            if traceparent:
                line["traceparent"] = traceparent
            if omitted:
                line["omitted_before"], omitted = omitted, 0
            lines.append(msgspec.json.encode(line))
        self._omitted += omitted
        if lines:
            self._write(b"\n".join(lines) + b"\n")

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            try:
                self.write_once()
            except (OSError, ValueError):
                # Whoever read our standard error is gone; serving goes on.
                self._entries.clear()
