"""When a process started: with its number it tells a process from a later one that was given the same number."""

import os
from pathlib import Path

import psutil


def started_ms(pid: int) -> int | None:
    """The process's start time; None where there is no such process, or only its remains.

    Counted from the boot where there is proc(5), since Linux moves the time of the boot itself whenever the clock is
    set: counted from 1970, every process would then be another one.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        since_boot_ms = _since_boot_ms(pid)
        return round(process.create_time() * 1000) if since_boot_ms is None else since_boot_ms
    except psutil.Error:
        return None


def _since_boot_ms(pid: int) -> int | None:
    """The process's start in ms since the system's; None where there is no proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[19]) * 1000 // os.sysconf("SC_CLK_TCK")
