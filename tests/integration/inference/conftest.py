"""A serving process on real bundles, and a client of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from common.settings import Settings
from services.inference.metrics import MetricsFolder
from services.inference.process import bound_socket, serving
from services.inference.service import Service
from tests.bundles import FAMILIES, KEY, Folder, Trained, random_forest, train


@pytest.fixture(scope="session")
def trained() -> dict[str, Trained]:
    """The three families, fitted once."""
    return {family: train(family, make) for family, make in FAMILIES.items()} | {
        "small_forest": train("random_forest", lambda: random_forest(3))
    }


@pytest.fixture
def models(shared_dir: Path) -> Folder:
    """An empty model folder."""
    return Folder(shared_dir / "models")


class Api:
    """A serving process and a client of it."""

    def __init__(self, service: Service, client: ClientSession, port: int, log: list[bytes]) -> None:
        self.service = service
        self.client = client
        self.port = port
        self.log = log

    async def post(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """Status and document of an answer."""
        sent = {"json": body} if body is not None else {}
        async with self.client.post(path, **sent, **options) as response:
            return response.status, await response.json(content_type=None)

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        """Status and document of an answer."""
        async with self.client.get(path, **options) as response:
            return response.status, await response.json(content_type=None)

    async def live(self, version: int, model: str = "random_forest") -> None:
        """Waits until a version answers."""
        await until(lambda: self._live(model) == version, f"{model}@{version} to be live")

    def _live(self, model: str) -> int | None:
        view = self.service.serving.models.get(model)
        return view.live.version if view is not None and view.live is not None else None


async def until(seen: Callable[[], Any], what: str, seconds: float = 10.0) -> None:
    """Waits for a state, with a deadline."""
    import asyncio

    try:
        async with asyncio.timeout(seconds):
            while not seen():  # noqa: ASYNC110 - what is waited for raises no event
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"waited {seconds} s in vain for {what}")


@asynccontextmanager
async def started(
    shared_dir: Path, *, metrics_folder: MetricsFolder | None = None, **settings: Any
) -> AsyncIterator[Api]:
    """A serving process in this one, on a port of its own."""
    chosen = Settings(
        shared_dir=str(shared_dir), rookery_signing_key=KEY.decode(), **{"inference_poll_s": 0.2, **settings}
    )
    log: list[bytes] = []
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(bound_socket("127.0.0.1", 0))
        port = listener.getsockname()[1]
        service = await stack.enter_async_context(
            serving(chosen, listener, write_log=log.append, metrics_folder=metrics_folder)
        )
        client = await stack.enter_async_context(
            ClientSession(f"http://127.0.0.1:{port}", connector=TCPConnector(limit=200))
        )
        yield Api(service, client, port, log)


@pytest.fixture
async def api(models: Folder, trained: dict[str, Trained], shared_dir: Path) -> AsyncIterator[Api]:
    """All three families live as version 1."""
    for family in FAMILIES:
        models.publish(trained[family])
    async with started(shared_dir) as running:
        for family in FAMILIES:
            await running.live(1, family)
        yield running
