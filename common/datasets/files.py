"""Which files a data set is read from, and figures that tell whether one of them has changed since."""

from pathlib import Path
from typing import Any

from common.datasets.spec import CsvSource, DatasetSpec, ParquetSource, SeabornSource

Fingerprint = dict[str, Any]


def source_files(spec: DatasetSpec, data_dir: Path) -> list[Path]:
    """The files that exist now, sorted; none for a query."""
    source = spec.source
    if isinstance(source, SeabornSource):
        path = data_dir / f"{source.name}.csv"
        return [path] if path.is_file() else []
    if isinstance(source, CsvSource | ParquetSource):
        pattern = Path(source.path)
        if not any(sign in source.path for sign in "*?["):
            path = data_dir / pattern  # an absolute one stays as it is
            return [path] if path.is_file() else []
        base = Path(pattern.anchor) if pattern.is_absolute() else data_dir
        relative = str(pattern.relative_to(pattern.anchor)) if pattern.is_absolute() else source.path
        return sorted(path for path in base.glob(relative) if path.is_file())
    return []


def fingerprint(spec: DatasetSpec, data_dir: Path) -> Fingerprint | None:
    """Size, mtime and inode of every file; None where that says nothing (a query, or no file yet).

    A file that is written while this looks gives figures that a second look will contradict.
    """
    files = []
    for path in source_files(spec, data_dir):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        files.append(
            {
                "path": str(path.relative_to(data_dir) if path.is_relative_to(data_dir) else path),
                "size": found.st_size,
                "mtime_ns": found.st_mtime_ns,
                "inode": found.st_ino,
            }
        )
    return {"files": files} if files else None


def newest_mtime_ns(mark: Fingerprint) -> int:
    """When the youngest of the files was last written."""
    return max(int(file["mtime_ns"]) for file in mark["files"])
