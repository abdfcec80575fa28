"""Whether a process of the stack works: asked by bare sockets, so that the supervisor stays small."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from services.local.servers import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Check = Callable[[], Awaitable[bool]]


@asynccontextmanager
async def _connection(host: str, port: int) -> "AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]":
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()


def answers_http(host: str, port: int, path: str) -> Check:
    """A check: the path is answered with 200."""

    async def check() -> bool:
        async with _connection(host, port) as (reader, writer):
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            status = await reader.readline()
            return status.split(b" ", 2)[1:2] == [b"200"]

    return check


def answers_redis(port: int, password: str) -> Check:
    """A check: Redis takes the password and has read its file."""

    async def check() -> bool:
        async with _connection(LOOPBACK, port) as (reader, writer):
            writer.write(f"AUTH {password}\r\nPING\r\n".encode())
            await writer.drain()
            return await reader.readline() == b"+OK\r\n" and await reader.readline() == b"+PONG\r\n"

    return check


def answers_postgres(url: str) -> Check:
    """A check: PostgreSQL accepts a connection."""

    def connect() -> bool:
        import psycopg

        try:
            psycopg.connect(url, connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True

    async def check() -> bool:
        return await asyncio.to_thread(connect)

    return check


def keeps_touching(path: Path, *, within_s: float = 30.0) -> Check:
    """A check: the process has touched its file lately, which it does whenever it has shown that it works."""

    def is_fresh() -> bool:
        try:
            return time.time() - path.stat().st_mtime < within_s
        except FileNotFoundError:
            return False

    async def check() -> bool:
        return await asyncio.to_thread(is_fresh)

    return check


def any_is_away(places: Sequence[tuple[str, int]]) -> Check:
    """A check: at one of the places nobody accepts a connection. A Unix socket's folder as host is not looked at."""

    async def check() -> bool:
        for host, port in places:
            if not host or host.startswith("/"):
                continue
            try:
                async with asyncio.timeout(2), _connection(host, port):
                    pass
            except (OSError, TimeoutError):
                return True
        return False

    return check
