"""Ending tasks of an event loop."""

import asyncio
from collections.abc import Collection
from typing import Any

_AGAIN_S = 0.2


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels tasks until each has ended; what they raise stays with them.

    Once is not enough: redis-py and asyncio's own timeouts may lose a cancellation that comes as something else ends.
    """
    left: Collection[asyncio.Task[Any]] = [task for task in tasks if not task.done()]
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that it is not told as forgotten
