"""Who holds a lease: a process, told apart from a later one with the same number by its start time.

Containers may share a host's name (host networking) but not its processes: what one cannot see is not dead. So an owner
also names its PID namespace (pid_namespaces(7)).
"""

import os
import socket
from pathlib import Path

import msgspec
import psutil


class Owner(msgspec.Struct, frozen=True):
    """A process of a host. Written `host/pid/start time in ms/PID namespace`; 0 where there are no namespaces."""

    host: str
    pid: int
    started_ms: int
    namespace: int = 0

    def __str__(self) -> str:
        """As it stands in the events table."""
        return f"{self.host}/{self.pid}/{self.started_ms}/{self.namespace}"


def this_process() -> Owner:
    """The owner that the calling process is."""
    return Owner(socket.gethostname(), os.getpid(), _started_ms(os.getpid()) or 0, _namespace())


def parse_owner(text: str) -> Owner | None:
    """The owner that a text names; None where it names none."""
    host, *numbers = text.split("/")
    if len(numbers) != 3 or not all(number.isdigit() for number in numbers):  # noqa: PLR2004 - as `Owner` writes it
        return None
    pid, started_ms, namespace = map(int, numbers)
    return Owner(host, pid, started_ms, namespace)


def is_dead_here(owner: Owner, host: str) -> bool:
    """Tells whether the owner is a process of this host that is gone.

    False for other hosts and for containers beside this one: there is no knowing.
    """
    return owner.host == host and owner.namespace == _namespace() and _started_ms(owner.pid) != owner.started_ms


def _namespace() -> int:
    """The number of the PID namespace of the calling process; 0 where the system has none."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _started_ms(pid: int) -> int | None:
    """The process's start time; None where there is no such process, or only its remains."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        since_boot_ms = _since_boot_ms(pid)
        return round(process.create_time() * 1000) if since_boot_ms is None else since_boot_ms
    except psutil.Error:
        return None


def _since_boot_ms(pid: int) -> int | None:
    """The process's start in ms since the system's; None where there is no proc(5).

    Counted from the boot, since Linux moves the time of that itself whenever the clock is set: counted from 1970, every
    process would then be another one.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[19]) * 1000 // os.sysconf("SC_CLK_TCK")
