"""A table of routes, looked up."""

import pytest

from services.inference.web.answers import Answer
from services.inference.web.calls import Call
from services.inference.web.problems import ProblemError
from services.inference.web.routing import Route, Router


async def handler(_service: None, _call: Call) -> Answer:
    """Answers nothing."""
    return Answer(b"")


ROUTER = Router(
    (
        Route("GET", "/models", handler),
        Route("POST", "/predict", handler),
        Route("GET", "/models/{name}/versions/{version}", handler),
    )
)


def test_segments_in_braces() -> None:
    """The values of a path's segments are decoded and named."""
    route, params = ROUTER.find("GET", "/models/a%20b/versions/3")
    assert route.template == "/models/{name}/versions/{version}"
    assert params == {"name": "a b", "version": "3"}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/models"), ("HEAD", "/models"), ("GET", "/models/"), ("POST", "/predict")]
)
def test_exact_paths(method: str, path: str) -> None:
    """A path is found with and without a slash at its end, and HEAD where GET is."""
    assert ROUTER.find(method, path)[0].handler is handler


@pytest.mark.parametrize(
    "path",
    ["http://x/models", "https://x:8443/models/", "/%6dodels", "/models%2D", "/models/a%5Fb/%76ersions/3", "//models"],
)
def test_other_spellings(path: str) -> None:
    """An absolute address is the path in it, letters may be escaped; what only looks alike is another path."""
    if path in {"/models%2D", "//models"}:
        with pytest.raises(ProblemError):
            ROUTER.find("GET", path)
        return
    route, params = ROUTER.find("GET", path)
    assert route.handler is handler
    assert params in ({}, {"name": "a_b", "version": "3"})


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/models", "GET, HEAD, OPTIONS"), ("/predict/", "OPTIONS, POST"), ("*", "GET, HEAD, OPTIONS, POST")],
)
def test_what_is_allowed(path: str, methods: str) -> None:
    """OPTIONS lists the methods of a path however it is spelled, and with * those of the server."""
    assert ROUTER.allowed(path) == methods


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "//", 404),
        ("GET", "/models/a/versions/1/2", 404),
        ("GET", "/predict", 405),
        ("DELETE", "/models/a/versions/1", 405),
    ],
)
def test_refusals(method: str, path: str, status: int) -> None:
    """What is not there is 404; what is there but not so is 405 with Allow."""
    with pytest.raises(ProblemError) as refusal:
        ROUTER.find(method, path)
    assert refusal.value.status == status
    assert (status == 405) == any(name == "Allow" for name, _ in refusal.value.headers)
