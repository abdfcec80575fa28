"""The supervisor's side of the nursery: processes that are forked instead of started, and look the same from here."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
from typing import IO

import msgspec

from common.errors import RookeryError
from services.local import processes
from services.local.launching import Process, spawn
from services.local.nursery import Order, Word
from services.local.servers import Command

PATIENCE_S = 30.0
_WORD_BYTES = 4096


class NurseryError(RookeryError):
    """The process that others are forked from does not answer."""


class Forked:
    """A process that the nursery has forked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        """Waits until the nursery tells of its end."""
        await self._ended.wait()
        return self.returncode or 0

    def send_signal(self, signal: int, /) -> None:
        """Raises ProcessLookupError where it has ended: its number may be another's by now."""
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, signal)

    def kill(self) -> None:
        """Ends it at once. Raises ProcessLookupError where it has ended."""
        self.send_signal(signal.SIGKILL)

    def end(self, code: int) -> None:
        """Notes how it ended."""
        self.returncode = code
        self._ended.set()


class Forks:
    """What was forked, and the way to the nursery that is running."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._orders = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Forked]] = {}
        self._living: dict[int, Forked] = {}
        self._channel: socket.socket | None = None
        self._listening: asyncio.Task[None] | None = None

    async def open(self, command: Command, output: IO[bytes]) -> Process:
        """Starts the nursery."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0)
        with theirs:
            process = await spawn(command, output, given=theirs.fileno())
        self._listening = asyncio.create_task(self._listen(ours), name="nursery")
        return process

    async def works(self) -> bool:
        """Whether orders are taken."""
        return self._open.is_set()

    async def fork(self, command: Command, output: IO[bytes]) -> Process:
        """Has the words after `-m` of a command run in a fork. Raises NurseryError where that does not come about."""
        number = next(self._orders)
        order = Order(number=number, words=command.argv[2:], env=dict(command.env), cwd=command.cwd)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._open.wait()
                answer: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
                self._answers[number] = answer
                if self._channel is not None:
                    socket.send_fds(self._channel, [msgspec.json.encode(order)], [output.fileno()])
                return await answer
        except (TimeoutError, OSError) as error:
            raise NurseryError from error
        finally:
            self._answers.pop(number, None)  # what is forked for it all the same is ended

    async def _listen(self, channel: socket.socket) -> None:
        """Takes what the nursery tells, until it ends; then what it has forked has nobody to wait for it, and ends."""
        loop = asyncio.get_running_loop()
        self._channel = channel
        with channel, contextlib.suppress(ConnectionError):
            while data := await loop.sock_recv(channel, _WORD_BYTES):
                self._take(msgspec.json.decode(data, type=Word))
        self._open.clear()
        self._channel = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(NurseryError())
        await asyncio.gather(*(self._end_orphan(forked) for forked in list(self._living.values())))
        self._living.clear()

    def _take(self, word: Word) -> None:
        if not word.pid:
            self._open.set()
        elif word.code is not None:
            self._living.pop(word.pid).end(word.code)
        else:
            forked = self._living[word.pid] = Forked(word.pid)
            answer = self._answers.get(word.number)
            if answer is not None and not answer.done():
                answer.set_result(forked)
            else:  # nobody waits for it any longer
                forked.kill()

    @staticmethod
    async def _end_orphan(forked: Forked) -> None:
        identity = processes.identify("", forked.pid)
        with contextlib.suppress(ProcessLookupError):
            forked.kill()
        while identity.alive:  # noqa: ASYNC110 - another process's child: there is nothing to await but time
            await asyncio.sleep(0.01)
        forked.end(-signal.SIGKILL)
