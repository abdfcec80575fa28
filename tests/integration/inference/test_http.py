"""What clients send that is no proper request, and what every answer carries."""

import asyncio
import gzip
import json
import re
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from services.inference import process
from services.inference.routes import ROUTES
from services.inference.web import bodies
from tests.bundles import Folder, Trained
from tests.integration.inference.conftest import Api, started, until
from tests.integration.inference.test_predict import PENGUIN

BODY = {"records": [PENGUIN]}
JSON = {"Content-Type": "application/json"}
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def raw(api: Api, sent: bytes, *, seconds: float = 5.0) -> bytes:
    """All that comes back for some bytes, until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(seconds):
            return await reader.read()
    finally:
        writer.close()


async def test_compressed_bodies(api: Api) -> None:
    """Gzip and deflate are understood; a bomb, bad data and an unknown coding are refused."""
    plain = json.dumps(BODY).encode()
    for coding, content in (("gzip", gzip.compress(plain)), ("deflate", zlib.compress(plain))):
        assert (await api.post("/predict", data=content, headers={**JSON, "Content-Encoding": coding}))[0] == 200
    bomb = gzip.compress(b" " * (bodies.MAX_BODY_BYTES + 1))
    for content, coding, status in (
        (bomb, "gzip", 413),
        (b"no gzip", "gzip", 400),
        (gzip.compress(plain)[:-9], "gzip", 400),
        (gzip.compress(plain) + b"more", "gzip", 400),
        (plain, "br", 415),
    ):
        found, _ = await api.post("/predict", data=content, headers={**JSON, "Content-Encoding": coding})
        assert found == status, (coding, content[:20])


async def test_too_large(api: Api) -> None:
    """A body beyond the limit is refused before it is read, and while it is read where its length is not stated."""
    stated = await raw(api, HEAD + b"Content-Length: 99999999\r\n\r\n{}")
    assert stated.startswith(b"HTTP/1.1 413 ")

    async def endless() -> object:
        for _ in range(40):
            yield b" " * 1024 * 1024

    try:
        status, _ = await api.post("/predict", data=endless(), headers=JSON)
    except OSError:
        status = 413  # the connection was closed while we were sending
    assert status == 413


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin-1"]
)
async def test_other_media_types(api: Api, kind: str) -> None:
    """A body of another type is 415."""
    status, problem = await api.post("/predict", data=b"{}", headers={"Content-Type": kind})
    assert status == 415, problem


@pytest.mark.parametrize("pause_s", [0.0, 0.1])
async def test_an_upgrade_in_a_post_does_not_hang(api: Api, pause_s: float) -> None:
    """A POST that asks for WebSocket is answered, whether its body comes with the head or after it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    body = json.dumps(BODY).encode()
    writer.write(HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: %d\r\n\r\n" % len(body))
    await asyncio.sleep(pause_s)
    writer.write(body)
    async with asyncio.timeout(4):
        line = await reader.readline()
    writer.close()
    assert line.split()[1] in {b"200", b"400"}


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 no HTTP at all\r\n\r\n",
        b"POST /predict HTTP/9.9\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_request(api: Api, sent: bytes) -> None:
    """What cannot be parsed is answered 400 with a problem document, and the connection ends."""
    answer = await raw(api, sent)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:100]
    assert b"application/problem+json" in answer


async def test_slow_clients_are_cut(
    models: Folder, trained: dict[str, Trained], shared_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads and bodies that trickle in are cut after a while, and nobody waits for them."""
    monkeypatch.setattr(process, "KEEPALIVE_S", 1.0)
    monkeypatch.setattr(process, "_LINGER_S", 0.2)
    monkeypatch.setattr(bodies, "BODY_GRACE_S", 1.0)
    models.publish(trained["small_forest"])
    async with started(shared_dir) as api:
        await api.live(1)

        async def trickle(start: bytes) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(start)
            answer = bytearray()

            async def read() -> None:
                # In pieces: an answer that came stays, also when a byte still on its way is answered by a reset.
                with suppress(ConnectionError):
                    while piece := await reader.read(65536):
                        answer.extend(piece)

            reading = asyncio.ensure_future(read())
            async with asyncio.timeout(30):
                while not reading.done():
                    await asyncio.wait([reading], timeout=0.2)
                    writer.write(b"x")
            writer.close()
            return bytes(answer)

        slow = [
            asyncio.create_task(trickle(start))
            for start in (b"POST /pre", HEAD, HEAD + b"Content-Length: 5000\r\n\r\n", b"") * 5
        ]
        statuses = [(await api.post("/predict", BODY))[0] for _ in range(50)]
        assert set(statuses) == {200}
        answers = await asyncio.gather(*slow)
        assert any(b" 408 " in answer for answer in answers)


async def test_every_answer_can_be_followed(api: Api) -> None:
    """A request id is given back or made up, a valid trace context echoed, and both are in the log."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with api.client.post(
        "/predict", json=BODY, headers={"X-Request-ID": "mine", "traceparent": trace}
    ) as response:
        assert (response.headers["X-Request-ID"], response.headers["traceparent"]) == ("mine", trace)
    async with api.client.post(
        "/predict", json=BODY, headers={"X-Request-ID": "a b", "traceparent": "nope"}
    ) as response:
        assert response.headers["X-Request-ID"] not in {"", "a b"}
        assert "traceparent" not in response.headers
    await until(lambda: any(b'"request_id":"mine"' in lines for lines in api.log), "the log")
    line = next(line for lines in api.log for line in lines.splitlines() if b'"mine"' in line)
    assert json.loads(line)["traceparent"] == trace
    assert json.loads(line)["path"] == "/predict"


async def test_methods_and_paths(api: Api) -> None:
    """A path that is not there is 404, a method that is not possible 405 with Allow, HEAD has no body."""
    assert (await api.get("/nowhere"))[0] == 404
    async with api.client.get("/predict") as response:
        assert (response.status, response.headers["Allow"]) == (405, "OPTIONS, POST")
    async with api.client.head("/models") as response:
        assert (response.status, await response.read()) == (200, b"")
        assert int(response.headers["Content-Length"]) > 0
    async with api.client.options("/predict") as response:
        assert (response.status, response.headers["Allow"]) == (204, "OPTIONS, POST")
    assert b"Connection: close" in await raw(api, b"GET /health HTTP/1.0\r\n\r\n")
    absolute = b"GET http://x/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await raw(api, absolute)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
async def test_a_client_that_waits_to_be_told_to_send(api: Api, kind: str) -> None:
    """`Expect: 100-continue` is answered at once, so such a client sends its body and gets its answer."""
    body = json.dumps(PENGUIN if "ndjson" in kind else BODY).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        async with asyncio.timeout(5):
            writer.write(head.encode() + b"Expect: 100-continue\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    finally:
        writer.close()


@pytest.mark.parametrize("name", ["@", "@01", "@-1", "@0", "@1.0", "@99999999999999999999", "@%D9%A1", "@1@1", "@LIVE"])
async def test_names_that_are_nearly_a_versions(api: Api, name: str) -> None:
    """What follows @ must be a number as versions have it, or one of three words; all else is 404."""
    for path in (f"/predict?model=random_forest{name}", f"/v2/models/random_forest{name}/infer"):
        body = BODY if "predict" in path else {"inputs": []}
        status, problem = await api.post(path, body)
        assert (status, problem["status"]) == (404, 404), path
        assert problem["known"]


async def test_api_keys(models: Folder, trained: dict[str, Trained], shared_dir: Path) -> None:
    """With keys set, predictions ask for one, in either header; health and the pages do not."""
    models.publish(trained["small_forest"])
    async with started(shared_dir, inference_api_keys="first, second") as api:
        await api.live(1)
        assert (await api.post("/predict", BODY))[0] == 401
        assert (await api.post("/predict", BODY, headers={"X-API-Key": "third"}))[0] == 401
        assert (await api.post("/predict", BODY, headers={"X-API-Key": "second"}))[0] == 200
        assert (await api.post("/predict", BODY, headers={"Authorization": "Bearer first"}))[0] == 200
        for route in ROUTES:
            path = re.sub(r"{\w+}", "random_forest", route.template)
            async with api.client.request(route.method, path) as response:
                assert (response.status == 401) != route.is_open, path


async def test_cors(api: Api, models: Folder, shared_dir: Path) -> None:
    """Pages of other origins may call where they are listed, and no CORS header is ever sent where none is."""
    async with api.client.post("/predict", json=BODY, headers={"Origin": "https://a.example"}) as response:
        assert "Access-Control-Allow-Origin" not in response.headers
    async with started(shared_dir, inference_cors_origins="https://a.example") as listed:
        await listed.live(1)
        async with listed.client.options("/predict", headers={"Origin": "https://a.example"}) as response:
            assert response.status == 204
            assert "POST" in response.headers["Access-Control-Allow-Methods"]
        for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)):
            async with listed.client.post("/predict", json=BODY, headers={"Origin": origin}) as response:
                assert response.headers.get("Access-Control-Allow-Origin") == allowed
    assert models.models_dir.exists()


async def test_the_pages(api: Api) -> None:
    """/docs and /redoc and all they load come from here; the scripts compressed or not, as the client can."""
    for page, script in (("/docs", "swagger-ui-bundle.js"), ("/redoc", "redoc.standalone.js")):
        async with api.client.get(page) as response:
            text = await response.text()
            assert "http" not in text.replace("http-equiv", "")
            assert script in text
        for accepted in ("gzip", "identity"):
            async with api.client.get(f"/static/{script}", headers={"Accept-Encoding": accepted}) as response:
                assert response.status == 200
                assert len(await response.read()) > 1_000_000
    assert (await api.get("/static/..%2Fmain.py"))[0] == 404


async def test_examples_of_the_document_work(api: Api) -> None:
    """Each model's example in the OpenAPI document is answered; every route is in it."""
    _, document = await api.get("/openapi.json")
    assert document["openapi"] == "3.1.0"
    for path, model in (("/predict", "?model="), ("/v2/models/{model}/infer", "")):
        examples = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
        assert set(examples) == {"logistic_regression", "random_forest", "svc"}
        for name, example in examples.items():
            target = path.replace("{model}", name) + (model + name if model else "")
            assert (await api.post(target, example["value"]))[0] == 200
