"""Hints of changes, also after the folder became another one."""

import shutil
import threading
from pathlib import Path

import pytest

from services.inference.serving.watcher import Mode, Watcher


@pytest.mark.parametrize("mode", ["native", "polling"])
def test_a_new_folder_is_watched(tmp_path: Path, mode: Mode) -> None:
    """After the folder was deleted and made again, supervision watches the new one; our own reads give no hint."""
    folder = tmp_path / "models"
    folder.mkdir()
    woken = threading.Event()
    watcher = Watcher(folder, woken.set, mode)
    try:
        watcher.supervise()
        assert watcher.is_watching
        woken.clear()
        list(folder.iterdir())
        assert not woken.wait(0.2)
        (folder / "one").mkdir()
        assert woken.wait(5)
        shutil.rmtree(folder)
        watcher.supervise()
        assert watcher._observer is None
        folder.mkdir()
        watcher.supervise()
        woken.clear()
        (folder / "two").mkdir()
        assert woken.wait(5)
    finally:
        watcher.close()


def test_a_hint_that_raises_ends_nothing(tmp_path: Path) -> None:
    """Where what is woken raises, the next event wakes again."""
    calls = threading.Semaphore(0)

    def wake() -> None:
        calls.release()
        raise RuntimeError("of the test")

    watcher = Watcher(tmp_path, lambda: None, "native")
    watcher.supervise()
    watcher._wake = wake
    watcher.close()
    watcher._mode = "native"
    with pytest.raises(RuntimeError):
        watcher.supervise()
    assert calls.acquire(timeout=5)
    try:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            assert calls.acquire(timeout=5)
    finally:
        watcher.close()


def test_off_watches_nothing(tmp_path: Path) -> None:
    """Without watching, no observer runs."""
    watcher = Watcher(tmp_path, lambda: None, "off")
    watcher.supervise()
    assert not watcher.is_watching
