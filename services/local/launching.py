"""How a process comes to run: what the supervisor needs of it, and the plain way to start it."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from typing import IO, Protocol

from services.local.servers import Command


class Process(Protocol):
    """A process that runs or has run, as the standard library's asyncio knows it."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def returncode(self) -> int | None:
        """How it ended, below 0 for a signal; None while it runs."""

    async def wait(self) -> int:
        """Waits for its end, and returns how that was."""

    def send_signal(self, signal: int, /) -> None:
        """Raises ProcessLookupError where it is gone."""

    def kill(self) -> None:
        """Ends it at once. Raises ProcessLookupError where it is gone."""


Launch = Callable[[Command, IO[bytes]], Awaitable[Process]]


async def spawn(command: Command, output: IO[bytes], *, given: int = subprocess.DEVNULL) -> Process:
    """Starts a program, whose output goes to the file and whose standard input is `given`."""
    return await asyncio.create_subprocess_exec(
        *command.argv, stdin=given, stdout=output, stderr=output, **command.options()
    )
