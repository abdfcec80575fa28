"""Who holds a lease: a process, told apart from a later one with the same number by its start time.

Containers may share a host's name (host networking) but not its processes: what one cannot see is not dead. So an owner
also names its PID namespace (pid_namespaces(7)).
"""

import os
import socket
from pathlib import Path

import msgspec

from common.processes import started_ms


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
    return Owner(socket.gethostname(), os.getpid(), started_ms(os.getpid()) or 0, _namespace())


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
    return owner.host == host and owner.namespace == _namespace() and started_ms(owner.pid) != owner.started_ms


def _namespace() -> int:
    """The number of the PID namespace of the calling process; 0 where the system has none."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0
