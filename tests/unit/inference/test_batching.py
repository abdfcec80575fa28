"""Requests that wait at the same moment share one call."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from common.features import Floats
from services.inference import batching
from services.inference.batching import Batcher, Outcome
from services.inference.web.problems import ProblemError


def first_column(matrix: Floats) -> Outcome:
    """A model whose label is the first column."""
    return Outcome(matrix[:, 0].tolist(), matrix.tolist())


def rows(*values: float) -> Floats:
    """A matrix of one column."""
    return np.array([[value] for value in values])


async def test_each_gets_its_own_answers() -> None:
    """Requests of different sizes that share a call get the answers to their own records, in order."""
    sizes: list[int] = []
    batcher = Batcher(first_column, observe=sizes.append)
    futures = [batcher.submit(rows(1)), batcher.submit(rows(2, 3)), batcher.submit(rows(4))]
    answers = [await future for future in futures]
    assert [answer.labels for answer in answers] == [[1], [2, 3], [4]]
    assert answers[1].probabilities == [[2], [3]]
    assert sizes == [4]


async def test_a_thread_takes_what_came_meanwhile() -> None:
    """While a call runs in a thread, what arrives forms the next call."""
    sizes: list[int] = []
    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(first_column, executor=executor, observe=sizes.append)
        first = batcher.submit(rows(1))
        await asyncio.sleep(0)
        others = [batcher.submit(rows(value)) for value in (2, 3, 4)]
        assert (await first).labels == [1]
        assert [(await other).labels for other in others] == [[2], [3], [4]]
    assert sizes == [1, 3]


async def test_an_error_reaches_all_who_wait() -> None:
    """Where a call fails, each of its requests fails, and the next call is a new one."""
    calls = 0

    def fails_once(matrix: Floats) -> Outcome:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ArithmeticError
        return first_column(matrix)

    batcher = Batcher(fails_once)
    futures = [batcher.submit(rows(1)), batcher.submit(rows(2))]
    assert [type(error) for error in await asyncio.gather(*futures, return_exceptions=True)] == [ArithmeticError] * 2
    assert (await batcher.submit(rows(3))).labels == [3]


async def test_a_client_that_left_costs_nothing() -> None:
    """A request that was cancelled while it waited is left out of the call."""
    sizes: list[int] = []
    batcher = Batcher(first_column, observe=sizes.append)
    gone, waiting = batcher.submit(rows(1)), batcher.submit(rows(2))
    gone.cancel()
    assert (await waiting).labels == [2]
    assert sizes == [1]


async def test_too_many_are_shed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a request is refused with 503 and Retry-After; those accepted are answered."""
    monkeypatch.setattr(batching, "MAX_WAITING_REQUESTS", 2)
    batcher = Batcher(first_column)
    accepted = [batcher.submit(rows(1)), batcher.submit(rows(2))]
    with pytest.raises(ProblemError) as refusal:
        batcher.submit(rows(3))
    assert refusal.value.status == 503
    assert refusal.value.headers[0][0] == "Retry-After"
    assert [(await future).labels for future in accepted] == [[1], [2]]
