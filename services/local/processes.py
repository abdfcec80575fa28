"""Processes by identity: a pid and when it started, so that a number given anew is never taken for the old process."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import psutil

from common.processes import started_ms


class Identity(msgspec.Struct, frozen=True):
    """One process on this machine. `started_ms` is as `common.processes` counts it."""

    name: str
    pid: int
    started_ms: int

    def process(self) -> psutil.Process | None:
        """The process, or None where it has ended (or only waits to be reaped)."""
        if started_ms(self.pid) != self.started_ms:
            return None
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.pid)
        return None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process() is not None


def identify(name: str, pid: int) -> Identity:
    """The identity of a process that runs now; one that is already gone gets a start time no process has."""
    return Identity(name, pid, started_ms(pid) or 0)


def myself(name: str) -> Identity:
    """The identity of this process."""
    return identify(name, os.getpid())


def write_identities(path: Path, identities: Iterable[Identity]) -> None:
    """Records processes in a file, replaced as a whole."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(list(identities))))
    fresh.replace(path)


def read_identities(path: Path) -> list[Identity]:
    """The processes recorded in a file; none where it is missing or half a file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Identity])
    except (OSError, msgspec.DecodeError):
        return []


def family(identity: Identity) -> list[psutil.Process]:
    """A process and all that descend from it or belong to its group, itself first.

    Every process of the stack leads a group of its own, which its children stay in also when it has died.
    """
    members: dict[int, psutil.Process] = {}
    leader = identity.process()
    if leader is not None:
        members[leader.pid] = leader
        with contextlib.suppress(psutil.Error):
            members.update((child.pid, child) for child in leader.children(recursive=True))
    elif psutil.pid_exists(identity.pid):
        return []  # its number is another process's now, so nothing is left of its group
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == identity.pid and (started_ms(process.pid) or 0) >= identity.started_ms:
                members.setdefault(process.pid, process)
    return list(members.values())


def end(
    identities: Sequence[Identity], *, first: signal.Signals = signal.SIGTERM, patience_s: float = 5.0
) -> list[int]:
    """Ends processes with their families: asks, waits, and kills what stays. Returns the pids that were alive."""
    doomed = {process.pid: process for identity in identities for process in family(identity)}
    for identity in identities:
        leader = identity.process()
        if leader is not None:
            with contextlib.suppress(psutil.Error):
                leader.send_signal(first)
    deadline = time.monotonic() + patience_s
    while any(identity.alive for identity in identities) and time.monotonic() < deadline:
        time.sleep(0.02)
    # What started meanwhile counts too, and a child that outlived its parent has had its time.
    doomed.update((process.pid, process) for identity in identities for process in family(identity))
    for process in doomed.values():
        with contextlib.suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + patience_s
    while any(map(_runs, doomed.values())) and time.monotonic() < deadline:
        time.sleep(0.01)
    return sorted(doomed)


def _runs(process: psutil.Process) -> bool:
    """Whether a process still does anything: what only waits for its parent to take note has ended."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
