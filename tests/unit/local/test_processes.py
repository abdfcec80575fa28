"""Processes by identity."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.local.processes import Identity, end, family, identify, read_identities, write_identities
from tests.waiting import wait_until

SLEEPS = "import time; print('on', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEPS!r}])
print(child.pid, flush=True)
time.sleep(60)
"""


class _Started:
    def __init__(self) -> None:
        self.children: list[subprocess.Popen[str]] = []

    def __call__(self, code: str) -> tuple[subprocess.Popen[str], str]:
        child = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.children.append(child)
        assert child.stdout is not None
        return child, child.stdout.readline().strip()


@pytest.fixture
def start() -> Iterator[_Started]:
    """Starts Python code as a process and waits for its first line; ends it after the test."""
    started = _Started()
    yield started
    for child in started.children:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def test_a_pid_with_another_start_is_another_process(start: _Started) -> None:
    """A number that was given anew does not stand for the old process."""
    child, _ = start(SLEEPS)
    identity = identify("it", child.pid)
    assert identity.alive
    assert not Identity("it", child.pid, identity.started_ms - 100).alive


def test_an_unreaped_process_is_not_alive(start: _Started) -> None:
    """A process that has ended but was not waited for counts as gone."""
    child, _ = start("print('on'); input()")
    identity = identify("it", child.pid)
    child.kill()
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert not identity.alive


def test_a_clock_that_jumps_kills_nobody(start: _Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting the system's clock moves the time it says it was booted at: what was recorded still runs."""
    child, _ = start(SLEEPS)
    identity = identify("it", child.pid)
    booted = psutil.boot_time()
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: booted + 3600)
    assert identity.alive


def test_end_takes_children_along(start: _Started) -> None:
    """Nothing that a process started is left after it was ended."""
    child, grandchild = start(PARENT)
    assert set(end([identify("it", child.pid)])) == {child.pid, int(grandchild)}
    assert not psutil.pid_exists(int(grandchild)) or psutil.Process(int(grandchild)).status() == "zombie"


def test_end_finds_the_children_of_a_dead_parent(start: _Started) -> None:
    """Where the parent was killed, its children are found by their group."""
    child, grandchild = start(PARENT)
    identity = identify("it", child.pid)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert [process.pid for process in family(identity)] == [int(grandchild)]
    assert end([identity]) == [int(grandchild)]


def test_end_kills_what_does_not_listen(start: _Started) -> None:
    """A process that ignores the request is killed after the patience has run out."""
    child, _ = start(STUBBORN)
    assert end([identify("it", child.pid)], patience_s=0.2) == [child.pid]
    assert not identify("it", child.pid).alive


def test_end_leaves_a_stranger_with_the_same_pid_alone(start: _Started) -> None:
    """A recorded pid that now belongs to another process ends nothing."""
    child, _ = start(SLEEPS)
    stranger = identify("it", child.pid)
    assert end([Identity("it", stranger.pid, stranger.started_ms - 100)]) == []
    assert child.poll() is None


def test_identities_survive_the_file(tmp_path: Path) -> None:
    """What is written is read; a missing or damaged file says that nothing runs."""
    path = tmp_path / "processes.json"
    assert read_identities(path) == []
    write_identities(path, [Identity("it", 1, 25)])
    assert read_identities(path) == [Identity("it", 1, 25)]
    path.write_bytes(path.read_bytes()[:10])
    assert read_identities(path) == []
