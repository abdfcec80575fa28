"""Hints that the model folder changed. They carry no data: whoever is woken looks for itself.

inotify is silent where a folder is deleted and made again, swapped, on NFS and on some mounts, and when its queue
overflows; so the loop polls besides, and `supervise` makes a new observer when the watched folder is another one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from common.bundles import layout
from common.logs import get_logger

Identity = tuple[int, int, int]
Mode = Literal["auto", "native", "polling", "off"]
_CHANGES = frozenset({"created", "modified", "moved", "deleted"})
_POLLING_S = 1.0


class _Waker(FileSystemEventHandler):
    """Calls back on a change; our own reads (`opened`, `closed_no_write`) are none."""

    def __init__(self, wake: Callable[[], Any]) -> None:
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Never raises: an exception here would end all events for good."""
        try:
            if event.event_type in _CHANGES:
                self._wake()
        except Exception:  # noqa: BLE001 - see above; the poll finds what this hint was about
            get_logger(__name__).warning("a hint was lost", exc_info=True)


class Watcher:
    """An observer of one folder, made anew whenever it no longer watches what is there."""

    def __init__(self, folder: Path, wake: Callable[[], Any], mode: Mode = "auto") -> None:
        """Takes the folder, and what to call, from another thread, on a change."""
        self._folder = folder
        self._wake = wake
        self._mode = mode
        self._observer: BaseObserver | None = None
        self._watched: Identity | None = None
        self._complained = False

    @property
    def is_watching(self) -> bool:
        """Whether an observer runs."""
        return self._observer is not None and self._observer.is_alive()

    def supervise(self) -> None:
        """Makes sure that an observer of the folder as it is now runs; blocks for milliseconds."""
        if self._mode == "off":
            return
        identity = _identity(self._folder)
        if self.is_watching and identity == self._watched:
            return
        self.close()
        if identity is None:
            return
        for kind in self._kinds():
            try:
                self._observer = _started(kind, self._folder, _Waker(self._wake))
            except OSError as error:
                if not self._complained:
                    get_logger(__name__).warning("watching failed", folder=str(self._folder), error=str(error))
                self._complained = True
                continue
            self._watched = identity
            # What changed before the observer ran gave no hint.
            self._wake()
            return

    def close(self) -> None:
        """Ends the observer."""
        observer, self._observer, self._watched = self._observer, None, None
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join(timeout=5)

    def _kinds(self) -> tuple[Callable[[], BaseObserver], ...]:
        def polling() -> BaseObserver:
            return PollingObserver(timeout=_POLLING_S)

        if self._mode == "polling":
            return (polling,)
        return (Observer,) if self._mode == "native" else (Observer, polling)


def _started(make: Callable[[], BaseObserver], folder: Path, handler: FileSystemEventHandler) -> BaseObserver:
    """An observer that runs. Raises OSError where the system has no watches left."""
    observer = make()
    observer.daemon = True
    observer.schedule(handler, str(folder), recursive=True)
    observer.start()
    return observer


def _identity(folder: Path) -> Identity | None:
    """Device and inode of what the path leads to now, and the inode of the versions in it; None without a folder."""
    try:
        status = folder.stat()
    except OSError:
        return None
    try:
        versions = (folder / layout.VERSIONS).stat().st_ino
    except OSError:
        versions = 0
    return status.st_dev, status.st_ino, versions
