"""Who may change something, what is refused and how, and what the pages are allowed to load."""

import re
from collections.abc import AsyncIterator

import msgspec
import pytest

from common.settings import Settings
from services.console.routes import ROUTES
from tests.integration.console.conftest import Console, opened

TOKEN = "of-this-test"


@pytest.fixture
async def guarded(penguins: Settings) -> AsyncIterator[Console]:
    """A console that a token is set for."""
    async with opened(msgspec.structs.replace(penguins, console_token=TOKEN)) as running:
        yield running


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}])
async def test_a_page_of_another_site_changes_nothing(console: Console, headers: dict[str, str]) -> None:
    """What a browser sends for another site is refused, whatever it asks for; reading is not."""
    for route in ROUTES:
        if route.method == "POST":
            path = re.sub(r"\{(\w+)\}", "x", route.path)
            refused = await console.post(path, status=403, headers=headers)
            assert refused["detail"].startswith("only pages of this console may change something"), path
    assert (await console.get("/api/runs"))["runs"] == []
    await console.get("/api/runs", headers=headers)


async def test_the_same_site_may_change(console: Console) -> None:
    """The console's own page says so itself, and is believed."""
    host = f"http://{console.client.host}:{console.client.port}"
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": host}
    await console.post("/api/runs", {"dataset": "penguins"}, 202, headers=headers)


async def test_without_the_token_nothing_changes(guarded: Console) -> None:
    """Where a token is set each change asks for it, and the refusal says how to send it; reading goes on."""
    for route in ROUTES:
        if route.changing:
            path = re.sub(r"\{(\w+)\}", "x", route.path)
            async with guarded.client.post(path, json={}) as response:
                assert response.status == 401, path
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await guarded.get("/api/info"))["token_needed"] is True
    wrong = {"Authorization": "Bearer wrong"}
    assert "is not the one" in (await guarded.post("/api/token", status=401, headers=wrong))["detail"]


async def test_with_the_token_it_does(guarded: Console) -> None:
    """The right token lets a change through."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert await guarded.post("/api/token", headers=headers) == {"ok": True}
    await guarded.post("/api/runs", {"dataset": "penguins"}, 202, headers=headers)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b'{"dataset": 1}', "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"dataset": "penguins", "color": "blue"}', "application/json", 422),
        (b"[" * 70_000, "application/json", 413),
        (b"[" * 60_000, "application/json", 400),
        (b"\xff", "application/json", 400),
    ],
)
async def test_a_body_that_is_wrong_is_refused(console: Console, content: bytes, kind: str, status: int) -> None:
    """A body that is no JSON, too large, or has other fields is refused with a problem document that says which."""
    async with console.client.post("/api/runs", data=content, headers={"Content-Type": kind}) as response:
        assert response.status == status
        assert response.content_type == "application/problem+json"
        problem = await response.json(content_type=None)
        assert problem["status"] == status
        assert bool(problem.get("errors")) == (status == 422)


async def test_addresses_and_methods_that_are_none(console: Console) -> None:
    """An unknown address and a method that is not possible are problem documents too."""
    assert "/api/zebras" in (await console.get("/api/zebras", 404))["detail"]
    async with console.client.delete("/api/runs") as response:
        assert response.status == 405
        assert response.content_type == "application/problem+json"
        assert "GET" in response.headers["Allow"]
    await console.get("/static/../app.py", 404)
    await console.get("/static/%2e%2e/app.py", 404)


async def test_every_page_is_one_document_that_loads_from_here(console: Console) -> None:
    """Each page's address answers with the same document; its policy names this server and the import map's hash."""
    seen = set()
    for path in ("/", "/runs", "/events", "/models", "/models/x/compare/1..2", "/data/x/snapshots/1", "/try"):
        async with console.client.get(path) as response:
            assert response.status == 200
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-")
            assert "unsafe" not in policy
            seen.add(await response.text())
    (page,) = seen
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    for address in re.findall(r'(?:src|href)="(/[^"]+)"', page):
        async with console.client.get(address) as response:
            assert response.status == 200, address
            tag = response.headers["ETag"]
        async with console.client.get(address, headers={"If-None-Match": tag}) as response:
            assert response.status == 304


async def test_the_document_names_every_route(console: Console) -> None:
    """The OpenAPI document has each route of the table with its method, and says which answers are problems."""
    document = await console.get("/api/openapi.json")
    named = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert named >= {(route.method, route.path) for route in ROUTES}
    assert document["openapi"].startswith("3.")
