"""A console and a prediction API as processes, on believable rows, and a Chromium that looks at them."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import psycopg
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from common.bundles.layout import EVALUATION
from common.database.engine import database_engine
from common.predictors.arrays import pack
from common.settings import Settings, load_settings
from services.local.servers import Postgres, free_port
from tests.believable import Seed, write_specs
from tests.bundles import CLASSES, FAMILIES, KEY, Folder, Trained, random_forest, train
from tests.conftest import PASSWORD, ROOT, TEMPLATE
from tests.waiting import wait_until

AXE = Path(__file__).parent / "axe" / "axe.min.js"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE = (1440, 900)
PHONE = (390, 844)


@dataclass(frozen=True)
class Site:
    """A running console."""

    url: str
    settings: Settings
    seed: Seed

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement gives."""
        with psycopg.connect(self.settings.database_url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()


@pytest.fixture(scope="session")
def site(postgres_server: Postgres, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The console on its own database and folder, with its prediction API."""
    shared = tmp_path_factory.mktemp("console") / "shared"
    for name in ("datasets", "data", "models"):
        (shared / name).mkdir(parents=True)
    database = f"console_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server.url(PASSWORD, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database} TEMPLATE {TEMPLATE} STRATEGY file_copy".encode())
    inference, console = free_port(0), free_port(0)
    environment = {
        "DATABASE_URL": postgres_server.url(PASSWORD, database),
        "REDIS_URL": redis_server,
        "SHARED_DIR": str(shared),
        "ROOKERY_HOME": str(shared.parent / "home"),
        "ROOKERY_SIGNING_KEY": KEY.decode(),
        "BIND_HOST": "127.0.0.1",
        "INFERENCE_PORT": str(inference),
        "INFERENCE_URL": f"http://127.0.0.1:{inference}",
        "CONSOLE_PORT": str(console),
    }
    settings = load_settings(environment)
    write_specs(settings)
    _write_models(settings)
    seed = asyncio.run(_seeded(settings))
    with (
        _process("services.inference.main", environment, f"http://127.0.0.1:{inference}/models"),
        _process("services.console.main", environment, f"http://127.0.0.1:{console}/health"),
    ):
        yield Site(f"http://127.0.0.1:{console}", settings, seed)


async def _seeded(settings: Settings) -> Seed:
    async with database_engine(settings, "seed") as engine, engine.begin() as connection:
        seed = Seed(connection)
        await seed.write()
    return seed


def _write_models(settings: Settings) -> None:
    """Versions 10 to 12 of each family, as the rows have them; 12 of the forest has learnt nothing."""
    folder = Folder(settings.models_dir)
    for family, make in FAMILIES.items():
        one = _evaluated(train(family, (lambda: random_forest(20)) if family == "random_forest" else make))
        folder.publish(one, 10)
        folder.publish(one, 11 if family == "random_forest" else 12)
    folder.write(_evaluated(train("random_forest", lambda: random_forest(2), shuffled=True)), 12)


def _evaluated(one: Trained) -> Trained:
    target = np.array([CLASSES.index(species) for species in one.frame["species"]], dtype=np.float64)
    one.files[EVALUATION] = pack({"test_matrix": one.matrix[::5], "test_target": target[::5]})
    return one


@contextmanager
def _process(module: str, environment: dict[str, str], address: str) -> Iterator[None]:
    """A process of the product, once it answers."""
    child = subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env=os.environ | environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answers() -> bool:
        assert child.poll() is None, f"{module} ended by itself"
        try:
            with urlopen(address, timeout=2):  # noqa: S310 - an address of this machine
                return True
        except URLError:
            return False

    try:
        wait_until(answers, what=f"an answer of {module}", seconds=30)
        yield
    finally:
        child.terminate()
        child.wait(timeout=15)


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Browser]:
    """A Chromium of this machine. Of the module: while it is open, no other event loop can run in this thread."""
    del site  # it is set up by a loop of its own, which must have ended
    path = os.environ.get("CHROMIUM") or next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"NO BROWSER TESTS RAN: none of {', '.join(BROWSERS)} is here; install one, or set CHROMIUM=path")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


class Visitor:
    """A page that remembers what went wrong in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.errors: list[str] = []
        page.set_default_timeout(8000)
        page.on("pageerror", lambda error: self.errors.append(f"{error} {error.stack or ''}"))
        page.on("console", lambda said: self.errors.append(said.text) if said.type in {"error", "warning"} else None)

    def open(self, path: str) -> None:
        """Opens an address, and waits until its page is drawn."""
        self.page.goto(self.url + path)
        self.page.wait_for_selector("#content > *:not(.skeleton)")

    def says(self, text: str, *, milliseconds: float = 5000) -> None:
        """Waits until the page says this."""
        self.page.get_by_text(text).filter(visible=True).first.wait_for(timeout=milliseconds)

    def press(self, name: str) -> None:
        """Presses a button, the first one of this name."""
        self.page.get_by_role("button", name=name).filter(visible=True).first.click()

    def findings(self, *, rules: Sequence[str] = ()) -> list[str]:
        """What axe-core finds that is serious or critical, by all its rules or by these."""
        if not self.page.evaluate("'axe' in window"):
            # Evaluated rather than added as a tag: the content security policy lets in no script of another origin.
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        found: list[dict[str, Any]] = self.page.evaluate(
            "async (options) => (await axe.run(options)).violations", options
        )
        serious = [one for one in found if one["impact"] in {"serious", "critical"}]
        return [f"{one['id']}: {[node['html'] for node in one['nodes'][:3]]}" for one in serious]

    def wider_than_window(self) -> bool:
        """Whether the page has to be scrolled sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Callable[..., Visitor]]:
    """Opens pages; whatever a page logs as an error fails the test."""
    opened: list[Visitor] = []

    def make(*, size: tuple[int, int] = WIDE, dark: bool = False, **options: Any) -> Visitor:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light", locale="en-GB",
            **options,
        )  # fmt: skip
        opened.append(Visitor(context.new_page(), site.url))
        return opened[-1]

    yield make
    errors = [error for visitor in opened for error in visitor.errors]
    for visitor in opened:
        visitor.page.context.close()
    assert not errors
