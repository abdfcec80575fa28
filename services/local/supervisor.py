"""Keeps the processes of the stack running: starts, waits for health, restarts with backoff, ends in order.

Every process leads a session of its own: Ctrl-C on the terminal reaches the supervisor alone, and what a process
leaves behind when it is killed is found by its group.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from common.errors import RookeryError
from common.logs import get_logger
from services.local import processes
from services.local.launching import Launch, Process, spawn
from services.local.logfiles import last_lines, readable, rotate
from services.local.policy import Death, restart_delay_s
from services.local.processes import Identity
from services.local.servers import Command

CHECK_EVERY_S = 5.0
LOOK_EVERY_S = 0.05
# How many checks in a row a process may fail before it counts as hung and is killed.
PATIENCE_CHECKS = 4
ROTATE_EVERY_S = 30.0
# A process that died this often in a row before it worked is not waited for any longer.
HOPELESS_STARTS = 3

log = get_logger(__name__)


class StartError(RookeryError):
    """A process of the stack does not get to work."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One process to keep running.

    `healthy` says whether it works. Where `checked`, it is asked from time to time afterwards too, and a process that
    is alive but does not answer is killed, unless it is `excused`: what it stands on is away. `end_with` are the
    signals that ask it to end, each with the seconds it is given then. `launch` is how it comes to run.
    """

    name: str
    command: Command
    launch: Launch = spawn
    healthy: Callable[[], Awaitable[bool]]
    checked: bool = False
    excused: Callable[[], Awaitable[bool]] | None = None
    prepare: Callable[[], object] = lambda: None
    end_with: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 3.0),)
    log_file: Path


class Supervisor:
    """The processes of one stack. `say` gets one line for people when something happens that they should know."""

    def __init__(self, record: Path, say: Callable[[str], None]) -> None:
        self._record = record
        self._say = say
        self._kept: dict[str, _Kept] = {}
        self._ending = False

    def start(self, service: Service) -> None:
        """Starts a service and keeps it running from now on."""
        kept = _Kept(service, self._say, self._write)
        self._kept[service.name] = kept
        kept.keep()

    async def wait_healthy(self, names: Sequence[str], *, seconds: float = 60.0) -> None:
        """Waits until services work. Raises StartError with the log's last lines where one does not."""
        if not names:
            return
        kept = [self._kept[name] for name in names]
        waits = [asyncio.create_task(one.works()) for one in kept]
        done, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for wait in pending:
            wait.cancel()
        for wait in done:
            wait.result()
        late = [one for one in kept if not one.worked.is_set()]
        if late:
            names = [one.service.name for one in late]
            raise StartError(f"{', '.join(names)} did not get to work within {seconds:.0f} s{late[0].log_end()}")

    def kick(self, name: str, reason: str) -> None:
        """Kills a service that does not do its work; it is started again."""
        kept = self._kept.get(name)
        if kept is not None and not self._ending:
            kept.kick(reason)

    async def end(self, names: Sequence[str]) -> None:
        """Ends services side by side; returns when none of their processes is left."""
        await asyncio.gather(*(self._kept[name].end() for name in names if name in self._kept))

    def kill_all(self) -> None:
        """Ends everything at once, for a person who does not want to wait."""
        for kept in self._kept.values():
            kept.kill()

    async def rotate_logs(self) -> None:
        """Keeps the log files below their size; never returns."""
        while True:
            await asyncio.sleep(ROTATE_EVERY_S)
            for kept in self._kept.values():
                rotate(kept.service.log_file)

    def identities(self) -> list[Identity]:
        """The processes that run now."""
        return [kept.identity for kept in self._kept.values() if kept.identity is not None]

    def _write(self) -> None:
        processes.write_identities(self._record, self.identities())


class _Kept:
    """One service that is kept running."""

    def __init__(self, service: Service, say: Callable[[str], None], changed: Callable[[], None]) -> None:
        self.service = service
        self.identity: Identity | None = None
        self.worked = asyncio.Event()
        self._say = say
        self._changed = changed
        self._deaths: list[Death] = []
        self._hopeless = asyncio.Event()
        self._ending = asyncio.Event()
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None

    def keep(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.service.name}")

    async def works(self) -> None:
        """Returns once the process works. Raises StartError where it has died again and again before that."""
        worked, hopeless = (asyncio.create_task(event.wait()) for event in (self.worked, self._hopeless))
        try:
            await asyncio.wait((worked, hopeless), return_when=asyncio.FIRST_COMPLETED)
        finally:
            worked.cancel()
            hopeless.cancel()
        if not self.worked.is_set():
            raise StartError(f"{self.service.name} does not get to work{self.log_end()}")

    def log_end(self) -> str:
        """The last lines of the log, for an error's text."""
        lines = last_lines(self.service.log_file, 12)
        shown = "\n".join(readable(line, self.service.name) for line in lines)
        return f"; {self.service.log_file} ends with:\n{shown}" if shown else ""

    async def _keep(self) -> None:
        while not self._ending.is_set():
            self.worked.clear()
            code = await self._run_once()
            if self._ending.is_set():
                return
            self._deaths = [*self._deaths[-100:], Death(at_s=time.monotonic(), had_worked=self.worked.is_set())]
            if len(self._deaths) >= HOPELESS_STARTS and not any(
                death.had_worked for death in self._deaths[-HOPELESS_STARTS:]
            ):
                self._hopeless.set()
            delay_s = restart_delay_s(self._deaths)
            how = _how_it_ended(code)
            log.warning("process ended", process=self.service.name, how=how, again_in_s=delay_s)
            when = f"again in {delay_s:g} s" if delay_s else "started again"
            self._say(f"{self.service.name} {how}: {when} ({self.service.log_file})")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), delay_s or 0.001)

    async def _run_once(self) -> int:
        """Runs the process to its end, with what it left behind. Returns its exit code, below 0 for a signal."""
        service = self.service
        try:
            await asyncio.to_thread(service.prepare)
            with service.log_file.open("ab") as output:
                self._process = await service.launch(service.command, output)
        except (OSError, RookeryError) as error:
            log.error("process not started", process=service.name, error=str(error))  # noqa: TRY400 - the sentence says it
            self._say(f"{service.name} cannot be started: {error}")
            return 127
        self.identity = processes.identify(service.name, self._process.pid)
        self._changed()
        if self._ending.is_set():  # asked while it was being started
            self.kill()
        watch = asyncio.create_task(self._watch())
        code = await self._process.wait()
        watch.cancel()
        self._kill_rest()
        self.identity = None
        self._changed()
        return code

    async def _watch(self) -> None:
        """Notes when the process works; afterwards, where asked to, kills it when it no longer answers."""
        while not await self._is_healthy():  # noqa: ASYNC110 - another process's state: there is nothing to await but time
            await asyncio.sleep(LOOK_EVERY_S)
        self.worked.set()
        log.info("process works", process=self.service.name, pid=self.identity.pid if self.identity else None)
        failures = 0
        while self.service.checked:
            await asyncio.sleep(CHECK_EVERY_S)
            failures = 0 if await self._is_healthy() or await self._is_excused() else failures + 1
            if failures >= PATIENCE_CHECKS:
                self.kick("does not answer")

    async def _is_healthy(self) -> bool:
        try:
            return await asyncio.wait_for(self.service.healthy(), CHECK_EVERY_S)
        except Exception:  # noqa: BLE001 - whatever goes wrong in a check: it is not healthy
            return False

    async def _is_excused(self) -> bool:
        return self.service.excused is not None and await self.service.excused()

    def kick(self, reason: str) -> None:
        log.warning("process is killed", process=self.service.name, reason=reason)
        self._say(f"{self.service.name} {reason}: it is killed and started again")
        self.kill()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _kill_rest(self) -> None:
        """Kills what is left of the group of a process that has ended: children that it did not take along."""
        if self.identity is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.identity.pid, signal.SIGKILL)

    async def end(self) -> None:
        began = time.monotonic()
        self._ending.set()
        for request, patience_s in self.service.end_with:
            if self._process is None or self._process.returncode is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(request)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), patience_s)
        self.kill()
        if self._task is not None:
            await self._task
        log.info("process ended as asked", process=self.service.name, seconds=round(time.monotonic() - began, 2))


def _how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"
    return f"ended with code {code}"
