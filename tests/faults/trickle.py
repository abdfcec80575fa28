"""`python -m tests.faults.trickle PORT COUNT SECONDS`: slow connections; prints how long each was let live."""

import asyncio
import contextlib
import sys
import time

import msgspec

LOOPBACK = "127.0.0.1"
OPENED_WITHIN_S = 2.0


async def trickle(port: int, *, wait_s: float, body: bool, seconds: float) -> float | None:
    """Seconds until the server closes a connection that never gets to its end; None where it does not."""
    await asyncio.sleep(wait_s)
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n"
    writer.write(head + b"\r\n{" if body else head)
    ended = asyncio.create_task(reader.read())
    while time.monotonic() - began < seconds and not ended.done():
        with contextlib.suppress(ConnectionError):
            writer.write(b" " if body else b"X")
        await asyncio.wait({ended}, timeout=1)
    life = time.monotonic() - began if ended.done() else None
    ended.cancel()
    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
        await ended
    writer.close()
    return life


async def main(port: int, count: int, seconds: float) -> list[float | None]:
    """Half of the connections never end their head, half never their body."""
    slow = (
        trickle(port, wait_s=OPENED_WITHIN_S * number / count, body=number % 2 == 1, seconds=seconds)
        for number in range(count)
    )
    return list(await asyncio.gather(*slow))


if __name__ == "__main__":
    lives = asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
    sys.stdout.buffer.write(msgspec.json.encode(lives))
