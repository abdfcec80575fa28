"""Trying a pickle out in a child process that is kept warm."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from common.errors import BundleError
from common.features import Floats
from services.inference.serving.pickled import HEADER, Answers, Job

TIME_LIMIT_S = 60.0


class Trial:
    """Makes a model answer in a child first. The child sees no secret: its environment has none."""

    def __init__(self, *, python: str = sys.executable, time_limit_s: float = TIME_LIMIT_S) -> None:
        """Takes the interpreter of the child and how long a job may take."""
        self._python = python
        self._time_limit_s = time_limit_s
        self._child: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    async def answers(self, bundle: bytes, matrix: Floats, classes: int) -> list[list[float]]:
        """What the model of verified bytes answers to records, `(n, k)`.

        Raises BundleError where it cannot be loaded, answers with an error, ends the child, or takes too long.
        """
        frame = msgspec.msgpack.encode(Job(bundle=bundle, matrix=matrix.tolist(), classes=classes))
        async with self._lock:
            child = await self._running()
            try:
                async with asyncio.timeout(self._time_limit_s):
                    reply = await _exchange(child, frame)
            except TimeoutError as error:
                await self._end()
                raise BundleError(f"the model did not answer its samples within {self._time_limit_s:.0f} s") from error
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                code = await child.wait()
                await self._end()
                raise BundleError(f"loading the model ended the process that tried it (code {code})") from error
            except BaseException:
                # An answer may still be on its way: the next job must not take it for its own.
                await self._end()
                raise
        if reply.error:
            raise BundleError(f"the model cannot be loaded: {reply.error}")
        return reply.values

    async def close(self) -> None:
        """Ends the child."""
        async with self._lock:
            await self._end()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            root = str(Path(__file__).parents[3])
            self._child = await asyncio.create_subprocess_exec(
                self._python,
                "-m",
                "services.inference.serving.pickled",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={
                    "PATH": os.defpath,
                    "LC_ALL": "C.UTF-8",
                    "PYTHONPATH": root,
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                },
                cwd=root,
            )
        return self._child

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()
            await child.wait()


async def _exchange(child: asyncio.subprocess.Process, frame: bytes) -> Answers:
    """Sends a job and reads its answer."""
    if child.stdin is None or child.stdout is None:
        raise ConnectionError("the child has no pipes")
    child.stdin.write(HEADER.pack(len(frame)) + frame)
    await child.stdin.drain()
    (length,) = HEADER.unpack(await child.stdout.readexactly(HEADER.size))
    return msgspec.msgpack.decode(await child.stdout.readexactly(length), type=Answers)
