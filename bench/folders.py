"""Where benches leave what they make."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bench_folder() -> Iterator[Path]:
    """A folder that is gone afterwards: in BENCH_TMP, or else where there is a disk and not memory."""
    parent = os.environ.get("BENCH_TMP", "/var/tmp")  # noqa: S108 - what is made in it has a name nobody can guess
    folder = Path(tempfile.mkdtemp(prefix="rookery-bench-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
