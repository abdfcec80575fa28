"""When files may be read: once nobody has written to them for two seconds. A half-copied CSV is no snapshot."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from common.datasets.files import Fingerprint, fingerprint, newest_mtime_ns
from common.datasets.spec import DatasetSpec

STILL_S = 2.0
# How long a worker waits for a file that is being written before it leaves it to a later look.
PATIENCE_S = 20.0

Sleep = Callable[[float], Awaitable[None]]
Now = Callable[[], float]


async def still_fingerprint(
    spec: DatasetSpec, data_dir: Path, *, sleep: Sleep = asyncio.sleep, now: Now = time.time
) -> Fingerprint | None:
    """The fingerprint of files that are still; what they were last where they are written for longer than the patience.

    A file whose time is in the future (a clock was set back) is still when it does not change for two seconds.
    """
    mark = await asyncio.to_thread(fingerprint, spec, data_dir)
    waited_s = 0.0
    while mark is not None and waited_s < PATIENCE_S:
        age_s = now() - newest_mtime_ns(mark) / 1e9
        if age_s >= STILL_S:
            return mark
        wait_s = STILL_S - max(age_s, 0.0)
        await sleep(wait_s)
        waited_s += wait_s
        before, mark = mark, await asyncio.to_thread(fingerprint, spec, data_dir)
        if mark == before:
            return mark
    return None if mark is None else mark | {"restless": True}
