"""Several serving processes on one port: forked from one parent, which starts anew what ends."""

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

from common.logs import get_logger

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 10.0
# A child that lived this long did not die of its start, which takes well under a second: it is started at once again.
_SETTLED_S = 3.0
_FINISH_S = 8.0
# From <linux/prctl.h>.
_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Child:
    """One place among the children: who fills it, since when, and how often it was filled."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.attempt = 0
        self.pid = 0
        self.started = 0.0
        self.wait_s = _FIRST_WAIT_S
        self.due = 0.0


def supervise(run: Callable[[int, int], None], count: int) -> int:
    """Keeps `count` children running `run(number, attempt)` until a signal asks to end; gives the exit code.

    To be called from a process without threads and without a loop: it forks, which shares what was imported.
    """
    children = [_Child(number) for number in range(count)]
    # Signals are waited for, not handled, so none can arrive between a look and a sleep.
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_SIGNALS, signal.SIGCHLD})
    asked_to_end = False
    while not asked_to_end:
        for child in children:
            if not child.pid and child.due <= time.monotonic():
                _start(child, run)
        found = signal.sigtimedwait({*_SIGNALS, signal.SIGCHLD}, _next_due_s(children))
        asked_to_end = found is not None and found.si_signo in _SIGNALS
        _reap(children)
    _end(children)
    return 0


def _start(child: _Child, run: Callable[[int, int], None]) -> None:
    child.attempt += 1
    child.started = time.monotonic()
    child.pid = os.fork()
    if child.pid:
        return
    code = 1
    try:
        _end_with_parent()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_SIGNALS, signal.SIGCHLD})
        run(child.number, child.attempt)
        code = 0
    except BaseException:  # noqa: BLE001 - a forked child must never return into its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _end_with_parent() -> None:
    """Asks Linux to end this process when its parent dies, even by SIGKILL: nobody else would."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _reap(children: list[_Child]) -> None:
    """Notes who has ended, and when it is due again."""
    for child in children:
        if not child.pid:
            continue
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if not pid:
            continue
        now = time.monotonic()
        settled = now - child.started >= _SETTLED_S
        child.wait_s = _FIRST_WAIT_S if settled else min(child.wait_s * 2, _LONGEST_WAIT_S)
        child.due = now + child.wait_s
        code = os.waitstatus_to_exitcode(status)
        get_logger(__name__).error("a serving process ended", pid=pid, code=code, again_in_s=round(child.wait_s, 1))
        child.pid = 0


def _next_due_s(children: list[_Child]) -> float:
    """Seconds until a child is due; signals wake earlier."""
    now = time.monotonic()
    return max(0.0, min([child.due - now for child in children if not child.pid] or [60.0]))


def _end(children: list[_Child]) -> None:
    """Asks all to finish what they answer, and kills what does not."""
    running = {child.pid for child in children if child.pid}
    for pid in running:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _FINISH_S
    while running:
        running -= {pid for pid in running if os.waitpid(pid, os.WNOHANG)[0]}
        if running and time.monotonic() > deadline:
            for pid in running:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            return
        if running:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
