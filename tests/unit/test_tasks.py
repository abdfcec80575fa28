"""Ending tasks."""

import asyncio

from common.tasks import end_tasks


async def deaf(started: asyncio.Event, times: int) -> None:
    """Loses so many cancellations."""
    started.set()
    for _ in range(times):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


async def test_a_lost_cancellation_is_repeated() -> None:
    """A task that loses its first cancellations ends all the same, and so does one that heard the first."""
    begun = [asyncio.Event(), asyncio.Event()]
    tasks = [asyncio.create_task(deaf(started, times)) for started, times in zip(begun, (2, 0), strict=True)]
    for started in begun:
        await started.wait()
    async with asyncio.timeout(10):
        await end_tasks(tasks)
    assert all(task.cancelled() for task in tasks)


async def test_what_a_task_raises_stays_with_it() -> None:
    """A task that failed before is left as it is."""

    async def fail() -> None:
        raise ValueError("wrong")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    await end_tasks([task])
    assert isinstance(task.exception(), ValueError)
