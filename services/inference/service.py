"""What handlers work with: the models, and what counts and refuses. Made once per process by `app`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import ParamSpec, TypeVar

from common.errors import BundleError, NotFoundError
from common.features import Floats
from common.settings import Settings
from services.inference.batching import Outcome, joined
from services.inference.metrics import Figures, LiveModel, Metrics, MetricsFolder
from services.inference.serving.manager import Manager
from services.inference.serving.serving_map import Asked, Served, ServingMap
from services.inference.web.problems import ProblemError, unavailable

# Records of a large request that are decoded, encoded and answered between two turns of the loop.
SLICE_RECORDS = 256
MOST_LARGE_WAITING = 16
P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Service:
    """The parts of a serving process."""

    settings: Settings
    manager: Manager
    metrics: Metrics
    # Where slices of large requests and models without a plain-data predictor are evaluated.
    workers: Executor
    # Where candidates answer samples of many records (`shadowing`).
    shadow_worker: Executor
    shadow_credit: dict[str, float] = field(default_factory=dict)
    shadow_records: int = 0
    metrics_folder: MetricsFolder | None = None
    background: set[asyncio.Task[None]] = field(default_factory=set)
    _large: asyncio.Lock = field(default_factory=asyncio.Lock)
    _large_waiting: int = 0

    @property
    def serving(self) -> ServingMap:
        """What answers at this moment."""
        return self.manager.serving

    async def pick(self, name: str | None) -> Served:
        """The version that a name stands for; the default one without a name.

        Raises ProblemError: 404 for what does not exist, 503 for what is not there yet.
        """
        serving = self.serving
        if name is None:
            name = serving.default
            if name is None:
                raise self.no_model_yet()
        try:
            found = serving.find(name)
            if isinstance(found, Asked):
                found = await self.manager.version(found)
        except NotFoundError as error:
            if not serving.models:
                raise self.no_model_yet() from error
            raise ProblemError(404, error.message, known=sorted(serving.models)) from error
        except BundleError as error:
            raise ProblemError(409, error.message) from error
        if found is None:
            model = serving.models[name.partition("@")[0].removesuffix(".pkl")]
            raise unavailable(f"no version of {name!r} is live yet" + (f": {model.error}" if model.error else ""))
        return found

    def account(self, served: Served, outcome: Outcome) -> None:
        """Counts answers by class."""
        if not served.manifest.classes:
            return
        if len(outcome.labels) == 1:
            self.metrics.predicted(served.model, served.version, outcome.labels[0], 1)
            return
        for label, count in Counter(outcome.labels).items():
            self.metrics.predicted(served.model, served.version, label, count)

    def no_model_yet(self) -> ProblemError:
        """The refusal before the first model is live."""
        reason = self.manager.folder_error
        return unavailable("no model is live yet" + (f": {reason}" if reason else "; the first training is under way"))

    async def answers(self, served: Served, matrix: Floats) -> Outcome:
        """The answers to a matrix of any length: with other requests where it is small, in slices where it is not."""
        if len(matrix) <= SLICE_RECORDS:
            return await served.batcher.submit(matrix)
        async with self.large_turn():
            parts = [
                await served.batcher.aside(matrix[start : start + SLICE_RECORDS], self.workers)
                for start in range(0, len(matrix), SLICE_RECORDS)
            ]
        return joined(parts)

    async def slice(self, served: Served, matrix: Floats) -> Outcome:
        """The answers to one slice of a large request, counted."""
        outcome = await served.batcher.aside(matrix, self.workers)
        self.account(served, outcome)
        return outcome

    @asynccontextmanager
    async def large_turn(self) -> AsyncIterator[None]:
        """One large request at a time: its slices alternate with small requests, not with other large ones.

        Raises ProblemError 503 where too many wait for their turn.
        """
        if self._large_waiting >= MOST_LARGE_WAITING:
            raise unavailable(f"{MOST_LARGE_WAITING} large requests are waiting already")
        self._large_waiting += 1
        try:
            async with self._large:
                yield
        finally:
            self._large_waiting -= 1

    async def blocking(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what reads files in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.workers, partial(function, *args, **kwargs))

    async def all_figures(self) -> Figures:
        """The counts of all processes that share the port."""
        total = Figures()
        total.add(self.figures())
        if self.metrics_folder is not None:
            for figures in await self.blocking(lambda folder: list(folder.others()), self.metrics_folder):
                total.add(figures)
        return total

    def figures(self) -> Figures:
        """This process's counts."""
        ready = {*self.serving.ready.values()}
        self.metrics.figures.waiting_records = sum(served.batcher.waiting_records for served in ready)
        return self.metrics.figures

    def live_models(self) -> list[LiveModel]:
        """What the gauges say."""
        now = datetime.now(UTC)
        return [
            LiveModel(name, view.live.version, (now - view.live.manifest.created_at).total_seconds())
            for name, view in sorted(self.serving.models.items())
            if view.live is not None
        ]
