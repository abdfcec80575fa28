"""The worker of the service named by SERVICE, with handlers that leave a trace, and with points to crash at.

CRASHES names the folder of the points, `<stage>.<event type>`.
"""

import os
from pathlib import Path

import structlog

from common.events.handling import Stage
from common.events.runtime import make_worker
from common.settings import load_settings
from tests.faults import controls
from tests.faults.chain import HANDLERS
from tests.faults.crashing import crash_at


def crasher(folder: Path) -> Stage:
    """A hook that ends the process at each stage for which there is a file, once."""

    def at(stage: str) -> None:
        kind = structlog.contextvars.get_contextvars().get("type", "")
        crash_at(folder, f"{stage}.{kind}")

    return at


service = os.environ["SERVICE"]
controls.apply(os.environ.get("CONTROL", ""))
settings = load_settings(os.environ)
app = make_worker(
    service,
    HANDLERS[service],
    settings,
    time_limit_s=settings.work_time_limit_s,
    at=crasher(Path(os.environ["CRASHES"])),
)
