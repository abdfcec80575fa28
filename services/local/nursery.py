"""The process that the stack's Python processes are forked from: `python -m services.local.nursery NAME...`.

It imports once what they need, so that they share the memory of it and start at once; it opens nothing and runs no
thread. NAME is a module to import, or `module:function` to call as well. Standard input is a socket (see forks.py) that
brings orders and takes word of each process that was forked and that ended. When it closes, this process ends; those
that were forked do not.
"""

import gc
import importlib
import os
import runpy
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence

import msgspec
from setproctitle import getproctitle, setproctitle

# More than any order needs: the longest part is the environment.
ORDER_BYTES = 2**18


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to run in a fork: `python -m` with these words. Its output is the file that comes with the order."""

    number: int
    words: tuple[str, ...]
    env: dict[str, str]
    cwd: str


class Word(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is told: without a pid, that orders are taken; without a code, that an order was forked; else its end."""

    number: int = 0
    pid: int = 0
    code: int | None = None


def preload(names: Sequence[str]) -> None:
    """Imports, and keeps the collector away from what is there by then: it would write to memory that is shared."""
    getproctitle()  # finds where the title is kept, while the environment is still where the system put it
    gc.disable()
    for name in names:
        module, _, function = name.partition(":")
        imported = importlib.import_module(module)
        if function:
            getattr(imported, function)()
    gc.collect()
    gc.freeze()
    gc.enable()


class Nursery:
    """Takes orders until the socket closes."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._wakeup, self._wake = socket.socketpair()
        for end in (self._wakeup, self._wake):
            end.settimeout(0)

    def serve(self) -> Order | None:
        """Forks for each order. Returns None at the end, and in a process that was forked, set up, its order."""
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._tell(Word())
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wakeup in ready:
                    self._wakeup.recv(4096)
                    self._bury()
                if self._channel not in ready:
                    continue
                data, files, _, _ = socket.recv_fds(self._channel, ORDER_BYTES, 1)
                if not data:
                    return None
                order = msgspec.json.decode(data, type=Order)
                if self._fork(order, files[0]):
                    self._leave()
                    _become(order, files[0])
                    return order

    def _fork(self, order: Order, output: int) -> bool:
        """Forks; True in the new process. A signal that comes meanwhile waits: nobody would know of the process."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        pid = os.fork()
        if pid:
            os.close(output)
            self._tell(Word(number=order.number, pid=pid))
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return not pid

    def _bury(self) -> None:
        """Tells of each process that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._tell(Word(pid=pid, code=os.waitstatus_to_exitcode(status)))

    def _tell(self, word: Word) -> None:
        self._channel.send(msgspec.json.encode(word))

    def _leave(self) -> None:
        """Gives up, in a fork, what belongs to the nursery."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self._channel, self._wakeup, self._wake):
            end.close()


def _become(order: Order, output: int) -> None:
    """Makes the calling process what a program started with the order would be."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for given, wanted in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(given, wanted)
    for given in (nothing, output):
        os.close(given)
    os.chdir(order.cwd)
    os.environ.clear()
    os.environ.update(order.env)
    time.tzset()
    sys.path[0] = order.cwd
    sys.argv = list(order.words)
    setproctitle(" ".join(("python", "-m", *order.words)))


def main() -> None:
    """Serves; a process that was forked runs its module, and ends as any program does."""
    preload(sys.argv[1:])
    order = Nursery(socket.socket(fileno=os.dup(0))).serve()
    if order is not None:
        runpy.run_module(order.words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
