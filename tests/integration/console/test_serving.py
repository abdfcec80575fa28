"""Asking the models through the console, and what it says of inference."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest

from common.settings import Settings
from services.inference.process import bound_socket, serving
from tests.bundles import Folder, Trained, records
from tests.integration.console.conftest import Console, opened
from tests.waiting import until


@pytest.fixture
async def asking(penguins: Settings, forests: dict[int, Trained]) -> AsyncIterator[Console]:
    """A console beside a real prediction process that serves a forest."""
    Folder(penguins.models_dir).publish(forests[1])
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(bound_socket("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = msgspec.structs.replace(penguins, inference_url=url, inference_poll_s=0.2)
        service = await stack.enter_async_context(serving(settings, listener, write_log=lambda _line: None))
        await until(lambda: any(view.live for view in service.serving.models.values()))
        yield await stack.enter_async_context(opened(settings))


async def test_models_answer_through_the_console(asking: Console, forests: dict[int, Trained]) -> None:
    """Each model answers for itself with version and time; one that does not exist says so without hiding the rest."""
    asked = records(forests[1].frame.iloc[:2])
    body = {"records": asked, "models": ["random_forest", "random_forest@1", "tree"]}
    live, version, unknown = await asking.post("/api/ask", body)
    assert (live["status"], live["answer"]["version"], live["model"]) == (200, 1, "random_forest")
    assert live["answer"]["predictions"] == version["answer"]["predictions"]
    assert live["milliseconds"] > 0
    assert unknown["status"] == 404
    assert "tree" in unknown["answer"]["detail"]


async def test_a_record_that_is_wrong_is_told_by_the_model(asking: Console) -> None:
    """A record that a model refuses comes back with its problem document, which names the field."""
    body = {"records": [{"bill_length_mm": "long"}], "models": ["random_forest"]}
    (answer,) = await asking.post("/api/ask", body)
    assert answer["status"] == 422
    assert answer["answer"]["field"] == "bill_length_mm"


async def test_what_inference_serves(asking: Console) -> None:
    """The console passes on what inference serves, with its address."""
    await asking.parts.serving.ask_once()
    found = await asking.get("/api/serving")
    assert found["url"] == asking.parts.settings.inference_url
    assert (found["now"]["up"], found["now"]["live"]) == (True, {"random_forest": 1})
    assert found["models"][0]["features"][0]["name"] == "bill_length_mm"


async def test_asking_nobody(asking: Console) -> None:
    """No model, or too many of them, is refused."""
    await asking.post("/api/ask", {"records": [], "models": []}, 422)
    await asking.post("/api/ask", {"records": [], "models": ["random_forest"] * 25}, 422)


async def test_without_inference(console: Console) -> None:
    """While inference is away asking is a 503 that names its address, and the rest of the console goes on."""
    refused = await console.post("/api/ask", {"records": [{}], "models": ["random_forest"]}, 503)
    assert "127.0.0.1:9" in refused["detail"]
    assert (await console.get("/api/serving"))["now"]["up"] is False
    await console.get("/api/overview")
