"""A prediction API in a process of its own, its model folder, and clients that know each version's right answers."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import aiohttp
import numpy as np
import psutil

from services.local.health import answers_http
from services.local.servers import LOOPBACK
from services.local.supervisor import Supervisor
from tests.bundles import KEY, Folder, Trained, records, train
from tests.faults.arena import Arena
from tests.faults.ground import Ground, pick_port, plain_environment
from tests.faults.history import Cut, History, Released, Served
from tests.faults.launch import Launch

MODEL = "random_forest"
PROBES = slice(5, 330, 17)  # of the penguins; the samples of a manifest are others
_TOLERANCE = 1e-9
_TIMEOUT_S = 5.0


def forest(seed: int, trees: int) -> Trained:
    """A forest of some trees; another seed answers otherwise."""
    from sklearn.ensemble import RandomForestClassifier

    return train(MODEL, lambda: RandomForestClassifier(n_estimators=trees, random_state=seed))


class Models:
    """Two forests that versions are made of in turn, so that each answer tells which one gave it."""

    def __init__(self, trees: int) -> None:
        self.pair = (forest(1, trees), forest(2, trees))
        self.body = {"records": records(self.pair[0].frame.iloc[PROBES])}
        if self.differ == 0:
            raise ValueError("the two forests give the same answers")

    @property
    def differ(self) -> int:
        """How many of the probes the two answer differently."""
        return int((np.abs(self.answers[0] - self.answers[1]).max(axis=1) > _TOLERANCE).sum())

    @cached_property
    def answers(self) -> tuple[Any, Any]:
        """What each of the two says to the probes."""
        return self.pair[0].probabilities[PROBES], self.pair[1].probabilities[PROBES]

    def of(self, version: int) -> Trained:
        """The forest of a version."""
        return self.pair[version % 2]

    def is_right(self, version: int, probabilities: Any) -> bool:
        """Whether all answers of a request are those of the version."""
        expected = self.answers[version % 2]
        found = np.array(probabilities, dtype=np.float64)
        return found.shape == expected.shape and bool(np.abs(found - expected).max() < _TOLERANCE)


class Parlour:
    """A serving process, kept running."""

    client: aiohttp.ClientSession

    def __init__(
        self,
        ground: Ground,
        name: str,
        models: Models,
        *,
        history: History | None = None,
        control: str = "",
        **settings: str,
    ) -> None:
        self.run = ground.new_run(name)
        self.models = models
        self.history = history or History(self.run / "history.jsonl")
        self._owns_history = history is None
        self.folder = Folder(self.run / "shared" / "models")
        self.folder.models_dir.mkdir(parents=True)
        self.port = pick_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.pointed: dict[int, float] = {}
        self.deaths: list[str] = []
        self._supervisor = Supervisor(self.run / "processes.json", self.deaths.append)
        environment = plain_environment(
            SHARED_DIR=str(self.run / "shared"),
            ROOKERY_SIGNING_KEY=KEY.decode(),
            INFERENCE_PORT=str(self.port),
            CONTROL=control,
            LOG_FORMAT="json",
            **settings,
        )
        self._launch = Launch(self.run, environment, {})
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Serves version 1."""
        self.publish(1)
        if self._owns_history:
            self._stack.callback(self.history.close)
        self._supervisor.start(self._launch.inference(answers_http(LOOPBACK, self.port, "/health")))
        self._stack.push_async_callback(self._supervisor.end, ["inference"])
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        self.client = await self._stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        try:
            await self._supervisor.wait_healthy(["inference"])
            await self.serves(1)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process."""
        await self._stack.aclose()

    @property
    def process(self) -> psutil.Process:
        """The serving process."""
        return psutil.Process(self._supervisor.identities()[0].pid)

    async def answerer(self) -> str:
        """Which process answers a new connection: the beginning of its request ids; empty where none does."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.client.get(f"{self.url}/health", headers={"Connection": "close"}) as response:
                return response.headers["X-Request-ID"].partition("-")[0]
        return ""

    # The folder.

    def publish(self, version: int, *, live: bool = True) -> None:
        """Writes a version as training does, and makes it live."""
        self.folder.write(self.models.of(version), version)
        self.history.note(Released(model=MODEL, version=version, at=time.time()))
        if live:
            self.point(version)

    def point(self, version: int) -> None:
        """Makes a version live."""
        self.pointed[version] = time.time()
        self.folder.point(MODEL, version)

    # The clients.

    async def predict(self) -> Served:
        """One request, judged and recorded; asked once more where its connection was cut, as HTTP clients do."""
        began = time.monotonic()
        status, answer = await self._ask(again=True)
        served = Served(
            status=status,
            at=time.time(),
            seconds=time.monotonic() - began,
            model=answer.get("model", ""),
            version=answer.get("version", 0),
            good=status != 200 or self.models.is_right(answer["version"], answer["probabilities"]),
        )
        self.history.note(served)
        return served

    async def _ask(self, *, again: bool) -> tuple[int, dict[str, Any]]:
        """Status and document of an answer; status 0 where there is none."""
        try:
            async with self.client.post(f"{self.url}/predict", json=self.models.body) as response:
                return response.status, await response.json(content_type=None)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError) as error:
            if again and not isinstance(error, aiohttp.ClientConnectorError):
                self.history.note(Cut(at=time.time(), error=type(error).__name__))
                return await self._ask(again=False)
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        return 0, {}

    @contextlib.asynccontextmanager
    async def clients(self, count: int = 4, *, per_s: float = 25.0) -> AsyncIterator[None]:
        """Asks all the while, each client at a steady rate."""

        async def client() -> None:
            while True:
                began = time.monotonic()
                await self.predict()
                await asyncio.sleep(max(0.0, 1 / per_s - (time.monotonic() - began)))

        asking = [asyncio.create_task(client()) for _ in range(count)]
        try:
            yield
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def get(self, path: str) -> Any:
        """A page's document; None where it cannot be had."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.client.get(f"{self.url}{path}") as response:
                return await response.json(content_type=None)
        return None

    async def entry(self) -> dict[str, Any]:
        """What `/models` says of the model; nothing where there is no answer."""
        said = await self.get("/models") or {}
        return next((one for one in said.get("models", ()) if one.get("name", one.get("model")) == MODEL), {})

    async def serves(self, version: int, *, seconds: float = 15.0) -> float | None:
        """Waits until a version answers; returns when that was, None where it did not come."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with self.client.post(f"{self.url}/predict", json=self.models.body) as response:
                    if response.status == 200 and (await response.json())["version"] == version:
                        return time.time()
            await asyncio.sleep(0.01)
        return None


@contextlib.asynccontextmanager
async def predictions(
    ground: Ground, arena: Arena, *, per_s: float = 20.0, processes: int = 1
) -> AsyncIterator[Parlour]:
    """A prediction API beside a run, asked all the while; its answers go into the run's history."""
    around = {
        "REDIS_URL": arena.redis_url(),
        "DATABASE_URL": arena.settings.database_url,
        "INFERENCE_WORKERS": str(processes),
    }
    name = f"{arena.folder.name}-inference"
    async with (
        Parlour(ground, name, Models(trees=3), history=arena.history, **around) as parlour,
        parlour.clients(processes, per_s=per_s),
    ):
        yield parlour
