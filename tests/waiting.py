"""Waiting in tests: for a state, with a deadline, never for seconds."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_until(look: Callable[[], T], *, seconds: float = 10.0, what: str = "it") -> T:
    """Looks until something true is seen, and returns it; fails the test after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


async def until(look: Callable[[], T], *, seconds: float = 10.0) -> T:
    """The same inside a loop, which goes on meanwhile."""
    async with asyncio.timeout(seconds):
        while not (seen := look()):  # noqa: ASYNC110 - what is waited for is another process's state
            await asyncio.sleep(0.02)
    return seen
