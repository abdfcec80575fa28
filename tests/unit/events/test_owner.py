"""Who holds a lease."""

import subprocess
import sys

import msgspec
import psutil
import pytest

from common.events.owner import is_dead_here, parse_owner, this_process


def test_an_owner_is_read_back_as_it_was_written() -> None:
    """What stands in the events table names the process again."""
    assert parse_owner(str(this_process())) == this_process()
    assert parse_owner("somebody") is None


def test_this_process_lives() -> None:
    """The asking process is not taken for dead."""
    assert not is_dead_here(this_process(), this_process().host)


def test_an_ended_process_of_this_host_is_dead() -> None:
    """A process that has ended is known to be dead, on its own host alone."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    gone = msgspec.structs.replace(this_process(), pid=child.pid)
    assert is_dead_here(gone, gone.host)
    assert not is_dead_here(gone, "another-host")


def test_a_later_process_with_the_same_number_is_another() -> None:
    """A number that was given again does not bring the old process back."""
    mine = this_process()
    assert is_dead_here(msgspec.structs.replace(mine, started_ms=mine.started_ms - 60_000), mine.host)


def test_a_process_of_another_container_is_not_taken_for_dead() -> None:
    """A container that shares this host's name has processes of its own, which cannot be seen from here."""
    mine = this_process()
    theirs = msgspec.structs.replace(mine, pid=2**22 + 1, namespace=mine.namespace + 1)
    assert not is_dead_here(theirs, mine.host)


def test_a_clock_that_jumps_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting the system's clock moves the time it says it was booted at, and no process has died by that."""
    mine = this_process()
    booted = psutil.boot_time()
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: booted + 3600)
    assert not is_dead_here(mine, mine.host)
