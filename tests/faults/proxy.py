"""A TCP proxy that can let its connections fall silent: open on both sides, and nothing gets through any more."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Proxy:
    """Stands before a port of this machine."""

    def __init__(self, port: int, target: int) -> None:
        self._port = port
        self._target = target
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listens."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes whatever is open."""
        self.silence()
        for writer in self._writers:
            writer.close()
        if self._server is not None:
            self._server.close()

    def silence(self) -> int:
        """Moves no byte any more on the connections that are open now; returns how many there are."""
        for pump in self._pumps:
            pump.cancel()
        silenced = len(self._pumps) // 2
        self._pumps.clear()
        return silenced

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers += [writer, back]
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(_pump(source, sink))
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Moves bytes until one side ends, and then ends the other. Cancelled, it leaves both open."""
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
