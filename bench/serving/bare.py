"""The mark: aiohttp on uvloop that decodes the body with msgspec and answers a constant."""

import asyncio
import os
from typing import Any

import msgspec
import uvloop
from aiohttp import web


class Body(msgspec.Struct):
    """Records."""

    records: list[dict[str, Any]]


def application() -> web.Application:
    """One route."""
    decoder = msgspec.json.Decoder(Body)
    classes = ["Adelie", "Chinstrap", "Gentoo"]
    answers: dict[int, bytes] = {}

    async def predict(request: web.Request) -> web.Response:
        count = len(decoder.decode(await request.read()).records)
        if count not in answers:
            answers[count] = msgspec.json.encode(
                {
                    "model": "random_forest",
                    "version": 1,
                    "predictions": ["Adelie"] * count,
                    "probabilities": [[0.99, 0.01, 0.0]] * count,
                    "classes": classes,
                }
            )
        return web.Response(body=answers[count], content_type="application/json")

    app = web.Application(client_max_size=32 * 1024 * 1024)
    app.router.add_post("/predict", predict)
    return app


async def main() -> None:
    """Serves until it is killed."""
    runner = web.AppRunner(application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["BENCH_PORT"]), reuse_port=True).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
