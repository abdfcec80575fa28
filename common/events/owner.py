"""Who holds a lease: a process, told apart from a later one with the same number by its start time."""

import os
import socket

import msgspec
import psutil


class Owner(msgspec.Struct, frozen=True):
    """A process of a host. Written `host/pid/start time in ms`."""

    host: str
    pid: int
    started_ms: int

    def __str__(self) -> str:
        """As it stands in the events table."""
        return f"{self.host}/{self.pid}/{self.started_ms}"


def this_process() -> Owner:
    """The owner that the calling process is."""
    return Owner(socket.gethostname(), os.getpid(), _started_ms(os.getpid()) or 0)


def parse_owner(text: str) -> Owner | None:
    """The owner that a text names; None where it names none."""
    host, _, rest = text.partition("/")
    pid, _, started = rest.partition("/")
    return Owner(host, int(pid), int(started)) if pid.isdigit() and started.isdigit() else None


def is_dead_here(owner: Owner, host: str) -> bool:
    """Tells whether the owner is a process of this host that is gone. False for other hosts: there is no knowing."""
    return owner.host == host and _started_ms(owner.pid) != owner.started_ms


def _started_ms(pid: int) -> int | None:
    """The process's start time; None where there is no such process, or only its remains."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return round(process.create_time() * 1000)
    except psutil.Error:
        return None
