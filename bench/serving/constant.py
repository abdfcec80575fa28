"""What no server can be faster than by much: it reads no request, and sends the same bytes for whatever arrives.

How fast a load generator gets answers from it is how fast the generator is at least.
"""

import os
import select
import socket

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def main() -> None:
    """Serves until it is killed."""
    listener = socket.create_server(("127.0.0.1", int(os.environ["BENCH_PORT"])), backlog=256)
    ready = select.poll()
    ready.register(listener, select.POLLIN)
    opened: dict[int, socket.socket] = {}
    while True:
        for number, _ in ready.poll():
            if number == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                opened[connection.fileno()] = connection
                ready.register(connection, select.POLLIN)
                continue
            try:
                if opened[number].recv(65536):
                    opened[number].sendall(_ANSWER)
                    continue
            except ConnectionError:
                pass  # as good as closed
            ready.unregister(number)
            opened.pop(number).close()


if __name__ == "__main__":
    main()
