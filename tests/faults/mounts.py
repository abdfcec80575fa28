"""Disks that come and go: small ones in memory, and folders shown in another place. Needs the right to mount."""

import subprocess
from pathlib import Path


def mount_memory(path: Path, size: str) -> str:
    """Mounts a disk of a size in memory; returns why it cannot."""
    return _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))


def mount_folder(folder: Path, path: Path) -> str:
    """Shows a folder in another place, as a volume is; returns why it cannot."""
    return _mount("--bind", str(folder), str(path))


def unmount(path: Path) -> None:
    """Takes away what is mounted there, also while it is in use; nothing where nothing is."""
    subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)


def _mount(*words: str) -> str:
    try:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"cannot mount a disk: {error}"
    return "" if done.returncode == 0 else f"cannot mount a disk: {done.stderr.strip()}"
