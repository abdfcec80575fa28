"""A load generator for machines without wrk: one thread, bytes made beforehand, as little as possible per answer.

`python -m bench.serving.own URL CONNECTIONS SECONDS` sends what comes on standard input and prints one JSON document.
Each connection sends its next request when it has the whole answer to the one before, as those of wrk do.
"""

import json
import select
import socket
import sys
from time import perf_counter, process_time
from urllib.parse import urlsplit

_PIECE = 1 << 20


class _Connection:
    """A socket, when its request was sent, and what has come of the answer."""

    __slots__ = ("got", "sent", "socket")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got, self.sent = b"", 0.0


def run(url: str, body: bytes, *, connections: int, seconds: float) -> dict[str, float]:
    """Loads a server for so long: its rate, latencies in ms, answers that were not 2xx; `busy`: our share of a core."""
    split = urlsplit(url)
    request = _request(url, body)
    opened = [_Connection((split.hostname or "127.0.0.1", split.port or 80)) for _ in range(connections)]
    by_number = {one.socket.fileno(): one for one in opened}
    ready = select.poll()
    for number in by_number:
        ready.register(number, select.POLLIN)
    latencies: list[float] = []
    failed, expected = 0, -1
    begun, used = perf_counter(), process_time()
    for one in opened:
        one.sent = perf_counter()
        one.socket.sendall(request)
    now, end = begun, begun + seconds
    while now < end:
        for number, _ in ready.poll(1000):
            one = by_number[number]
            data = one.socket.recv(_PIECE)
            if not data:
                raise ConnectionError("the server closed a connection")
            if one.got or len(data) != expected:
                # Not as long as the last answer: its head has to be read.
                data = one.got + data
                size = _size(data)
                if size is None or len(data) < size:
                    one.got = data
                    continue
                one.got, expected = b"", size
            now = perf_counter()
            latencies.append(now - one.sent)
            failed += data[9:10] != b"2"
            one.sent = now
            one.socket.sendall(request)
        now = perf_counter()
    took, busy = now - begun, process_time() - used
    for one in opened:
        one.socket.close()
    latencies.sort()
    return {
        "per_s": len(latencies) / took,
        "requests": len(latencies),
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
        "failed": failed,
        "busy": busy / took,
    }


def _request(url: str, body: bytes) -> bytes:
    split = urlsplit(url)
    path = split.path + (f"?{split.query}" if split.query else "")
    head = f"POST {path} HTTP/1.1\r\nHost: {split.netloc}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _size(data: bytes) -> int | None:
    """The length of the answer that begins here, head and body; None where its head is not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    for line in data[:end].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return end + 4 + int(value)
    raise ConnectionError("an answer without a Content-Length")


if __name__ == "__main__":
    url, connections, seconds = sys.argv[1:]
    print(json.dumps(run(url, sys.stdin.buffer.read(), connections=int(connections), seconds=float(seconds))))
