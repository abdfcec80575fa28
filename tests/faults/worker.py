"""The worker of the service named by SERVICE, with handlers that leave a trace, and with points to crash at.

CRASHES names a folder: a file `<stage>.<event type>` in it is taken by the first process that gets there, which then
kills itself at once, or, where the file says `group`, itself and its parent.
"""

import contextlib
import os
import signal
from pathlib import Path

import structlog

from common.events.handling import Stage
from common.events.runtime import make_worker
from common.settings import load_settings
from tests.faults import controls
from tests.faults.chain import HANDLERS


def crasher(folder: Path) -> Stage:
    """A hook that ends the process at each stage for which there is a file, once."""

    def at(stage: str) -> None:
        kind = structlog.contextvars.get_contextvars().get("type", "")
        point = folder / f"{stage}.{kind}"
        with contextlib.suppress(FileNotFoundError):
            victim = point.read_text()
            point.rename(point.with_name(f"{point.name}.done"))  # of two that get here one does
            if victim == "group":
                os.killpg(os.getpgid(0), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    return at


service = os.environ["SERVICE"]
controls.apply(os.environ.get("CONTROL", ""))
app = make_worker(service, HANDLERS[service], load_settings(os.environ), at=crasher(Path(os.environ["CRASHES"])))
