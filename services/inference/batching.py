"""Requests that wait at the same moment share one call of the model.

The first one to arrive asks the loop for a flush as its next step; whatever arrived with it is in the same call. So an
idle server adds no delay, and a busy one makes larger calls. A model that holds the interpreter for long answers in a
thread, and what arrives meanwhile forms the next call.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from common.features import Floats
from services.inference.web.problems import unavailable

MAX_WAITING_RECORDS = 200_000
MAX_WAITING_REQUESTS = 2_048

Label = str | float


class Outcome(NamedTuple):
    """Answers to some records: a label each, and for classification the probability of each class."""

    labels: list[Label]
    probabilities: list[list[float]] | None

    def part(self, start: int, stop: int) -> "Outcome":
        """The answers to some of the records."""
        return Outcome(self.labels[start:stop], None if self.probabilities is None else self.probabilities[start:stop])


def joined(parts: Sequence[Outcome]) -> Outcome:
    """The answers to slices as those to the whole."""
    labels = [label for part in parts for label in part.labels]
    if any(part.probabilities is None for part in parts):
        return Outcome(labels, None)
    return Outcome(labels, [row for part in parts for row in part.probabilities or ()])


Evaluate = Callable[[Floats], Outcome]
Waiting = tuple[Floats, "asyncio.Future[Outcome]"]


class Batcher:
    """Evaluates the matrices of many requests together."""

    def __init__(
        self,
        evaluate: Evaluate,
        *,
        executor: Executor | None = None,
        observe: Callable[[int], None] | None = None,
    ) -> None:
        """Takes the model's function; with an executor it is called there, one call at a time.

        `observe` is told the number of records of each call.
        """
        self._evaluate = evaluate
        self._executor = executor
        self._observe = observe or (lambda _: None)
        self._waiting: list[Waiting] = []
        self._waiting_records = 0
        self._busy = False

    @property
    def waiting_records(self) -> int:
        """Records that no call has taken yet."""
        return self._waiting_records

    def submit(self, matrix: Floats) -> "asyncio.Future[Outcome]":
        """The answers to the records of a matrix, to be. Raises ProblemError 503 where too many wait already."""
        if self._waiting_records > MAX_WAITING_RECORDS or len(self._waiting) >= MAX_WAITING_REQUESTS:
            raise unavailable("too many requests are waiting; try again shortly")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        if not self._waiting and not self._busy:
            loop.call_soon(self._flush)
        self._waiting.append((matrix, future))
        self._waiting_records += len(matrix)
        return future

    async def aside(self, matrix: Floats, workers: Executor) -> Outcome:
        """The answers to a slice of a large request, from a thread: small requests do not wait for it."""
        self._observe(len(matrix))
        return await asyncio.get_running_loop().run_in_executor(workers, self._evaluate, matrix)

    def _flush(self) -> None:
        """Evaluates what waits."""
        waiting, self._waiting = self._waiting, []
        self._waiting_records = 0
        # A client that has gone away needs no answer.
        waiting = [entry for entry in waiting if not entry[1].done()]
        if not waiting:
            return
        matrix = waiting[0][0] if len(waiting) == 1 else np.concatenate([matrix for matrix, _ in waiting])
        self._observe(len(matrix))
        if self._executor is None:
            try:
                outcome = self._evaluate(matrix)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer of those who wait
                _fail(waiting, error)
                return
            _deliver(waiting, outcome)
            return
        self._busy = True
        call = asyncio.get_running_loop().run_in_executor(self._executor, self._evaluate, matrix)
        call.add_done_callback(lambda done: self._finish(waiting, done))

    def _finish(self, waiting: list[Waiting], call: "asyncio.Future[Outcome]") -> None:
        """Delivers what a thread has evaluated, and takes on what came meanwhile."""
        self._busy = False
        error = asyncio.CancelledError() if call.cancelled() else call.exception()
        if error is not None:
            _fail(waiting, error)
        else:
            _deliver(waiting, call.result())
        if self._waiting:
            self._flush()


def _deliver(waiting: list[Waiting], outcome: Outcome) -> None:
    """Gives each request its part."""
    start = 0
    for matrix, future in waiting:
        stop = start + len(matrix)
        if not future.done():
            future.set_result(outcome.part(start, stop) if len(waiting) > 1 else outcome)
        start = stop


def _fail(waiting: list[Waiting], error: BaseException) -> None:
    for _, future in waiting:
        if not future.done():
            future.set_exception(error)
