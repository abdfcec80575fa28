"""A console on fresh databases and a folder with two forests, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from common.bundles.layout import EVALUATION, report_dir
from common.bundles.live import choose_live
from common.database.tables import model_versions
from common.predictors.arrays import pack
from common.settings import Settings
from services.console.app import make_web_app
from services.console.parts import Parts, open_parts
from tests.bundles import CLASSES, Folder, Trained, random_forest, train
from tests.specs import PENGUINS, PENGUINS_CSV

REPORT = {"model_card.md": b"# random_forest 1\n", "confusion.png": b"\x89PNG\r\n\x1a\n"}


class Console:
    """A console and a client of it."""

    def __init__(self, parts: Parts, client: TestClient[Any, Any]) -> None:
        self.parts, self.client = parts, client

    async def get(self, path: str, status: int = 200, **options: Any) -> Any:
        """The document of an answer that has this status."""
        async with self.client.get(path, **options) as response:
            return await document(response, status)

    async def post(self, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        """The document of an answer that has this status."""
        async with self.client.post(path, json=body if body is not None else {}, **options) as response:
            return await document(response, status)

    async def run(self, statement: str, **values: Any) -> None:
        """Runs a statement that gives nothing."""
        async with self.parts.engine.begin() as connection:
            await connection.execute(text(statement), values)


async def document(response: ClientResponse, status: int) -> Any:
    """The JSON of an answer; a refusal is a problem document that says its own status."""
    content = await response.json(content_type=None)
    assert response.status == status, content
    if status >= 400:
        assert response.content_type == "application/problem+json"
        assert content["status"] == status
        assert content["detail"]
    return content


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Console]:
    """A console with these settings."""
    async with open_parts(settings) as parts, TestClient(TestServer(make_web_app(parts))) as client:
        yield Console(parts, client)
        await parts.hub.close()


@pytest.fixture
def penguins(settings: Settings) -> Settings:
    """Settings whose folder has the penguins' spec and data, and an inference address where nobody listens."""
    (settings.datasets_dir / "penguins.toml").write_text(PENGUINS, encoding="utf-8")
    (settings.data_dir / "penguins.csv").write_text(PENGUINS_CSV, encoding="utf-8")
    return msgspec.structs.replace(settings, inference_url="http://127.0.0.1:9")


@pytest.fixture
async def console(penguins: Settings) -> AsyncIterator[Console]:
    """A console that knows one data set."""
    async with opened(penguins) as running:
        yield running


@pytest.fixture(scope="session")
def forests() -> dict[int, Trained]:
    """A forest of thirty trees as version 1 and 2, one that has learnt nothing as version 3; each with test rows."""
    good = train("random_forest", lambda: random_forest(30))
    bad = train("random_forest", lambda: random_forest(2), shuffled=True)
    target = np.array([CLASSES.index(species) for species in good.frame["species"]], dtype=np.float64)
    rows = pack({"test_matrix": good.matrix[::5], "test_target": target[::5]})
    for one in (good, bad):
        one.files[EVALUATION] = rows
    return {1: good, 2: good, 3: bad}


@pytest.fixture
async def models(console: Console, forests: dict[int, Trained]) -> Folder:
    """Versions 1 and 2 of random_forest went live in turn, 3 is held; all in the folder, 1 with a report."""
    settings = console.parts.settings
    folder = Folder(settings.models_dir)
    async with console.parts.engine.begin() as connection:
        for version, one in forests.items():
            folder.write(one, version)
            await _row(connection, version, "held" if version == 3 else "published")
            if version < 3:
                await choose_live(
                    connection,
                    model="random_forest",
                    dataset="penguins",
                    version=version,
                    action="publish",
                    actor="train",
                    reason="passed the gate",
                )
    report = report_dir(settings.models_dir, "random_forest", 1)
    report.mkdir()
    for name, content in REPORT.items():
        (report / name).write_bytes(content)
    return folder


async def _row(connection: AsyncConnection, version: int, state: str) -> None:
    await connection.execute(
        insert(model_versions).values(
            model="random_forest",
            version=version,
            dataset="penguins",
            family="random_forest",
            state=state,
            snapshot=1,
            metrics={"accuracy": 0.4 if state == "held" else 1.0},
            reason="accuracy 0.4000 is 0.6000 below live 1.0000" if state == "held" else None,
        )
    )
