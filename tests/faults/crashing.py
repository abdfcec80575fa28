"""Points to crash at: files in a folder, each taken by the first process that gets there, which then ends at once.

A file says who ends: `child`, the process alone, or `group`, itself and its parent.
"""

import contextlib
import os
import signal
from pathlib import Path


def crash_at(folder: Path, point: str) -> None:
    """Ends the process where there is a file for the point; of two that get there one does."""
    path = folder / point
    with contextlib.suppress(FileNotFoundError):
        victim = path.read_text()
        path.rename(path.with_name(f"{point}.done"))
        if victim == "group":
            os.killpg(os.getpgid(0), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def points_left(folder: Path) -> list[str]:
    """The points that nobody has crashed at yet."""
    return [path.name for path in folder.iterdir() if path.suffix != ".done"]
