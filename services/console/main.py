"""The composition root of the console: reads the environment, opens the parts, serves until it is asked to end."""

import asyncio
import os
import signal

from aiohttp import web

from common.logs import configure_logs, get_logger
from common.settings import Settings, load_settings
from services.console.app import make_web_app
from services.console.parts import open_parts

log = get_logger(__name__)

# Streams never end by themselves: the hub ends them first, and what is left after this is cut.
_SHUTDOWN_S = 2.0
_KEEPALIVE_S = 15.0


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with open_parts(settings) as parts:
        runner = web.AppRunner(make_web_app(parts), access_log=None, keepalive_timeout=_KEEPALIVE_S)
        await runner.setup()
        try:
            await web.TCPSite(
                runner, settings.bind_host, settings.console_port, shutdown_timeout=_SHUTDOWN_S, reuse_address=True
            ).start()
            log.info("console serves", host=settings.bind_host, port=settings.console_port)
            settings.tell_ready()
            await ended.wait()
        finally:
            await parts.hub.close()
            await runner.cleanup()


def main() -> None:
    """Runs the console of this environment."""
    settings = load_settings(os.environ)
    configure_logs(settings, "console")
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
