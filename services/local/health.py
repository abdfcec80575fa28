"""Whether a process of the stack works: asked by bare sockets, so that the supervisor stays small."""

import asyncio
from collections.abc import Awaitable, Callable
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


def has_file(path: Path) -> Check:
    """A check: the process has written its file."""

    async def check() -> bool:
        return await asyncio.to_thread(path.exists)

    return check
