"""The pages of the prediction API's document in a real browser: drawn, without an error, from this host alone."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.e2e.console.conftest import Site, Visitor

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documents_pages_ask_nobody_else(visit: Callable[..., Visitor], site: Site, path: str) -> None:
    """Both pages show the routes, log no error, and ask no other host for anything."""
    visitor = visit()
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.page.goto(site.settings.inference_url + path, wait_until="networkidle")
    visitor.says("/predict/compare")
    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme in {"http", "https"}}
    assert hosts == {urlsplit(site.settings.inference_url).netloc}
