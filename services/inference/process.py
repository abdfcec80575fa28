"""One serving process, put together: what it is made of, and the order in which it starts and ends."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import web

from common.logs import get_logger
from common.settings import Settings
from common.tasks import end_tasks
from services.inference.announcing import Announcer, NoStream, RedisStream
from services.inference.application import Application, Server
from services.inference.metrics import Metrics, MetricsFolder
from services.inference.service import Service
from services.inference.serving.loading import Loader
from services.inference.serving.manager import Manager
from services.inference.serving.trial import Trial
from services.inference.serving.watcher import Watcher
from services.inference.web.access_log import AccessLog
from services.inference.web.guards import ApiKeys, Origins

# A head that trickles in is cut after this, and so is an idle connection (docs/serving.md).
KEEPALIVE_S = 15.0
# How long what is left of a refused body is read, so that the client sees the answer.
_LINGER_S = 2.0
_FINISH_S = 5.0
_BACKLOG = 1024
_LEAVE_FIGURES_S = 1.0
_FIRST_LOOK_S = 10.0


@asynccontextmanager
async def serving(
    settings: Settings,
    listener: socket.socket,
    *,
    write_log: Callable[[bytes], Any],
    metrics_folder: MetricsFolder | None = None,
) -> AsyncIterator[Service]:
    """Serves on a bound socket while the context lasts. Raises SettingsError where no signing key is set."""
    keys = settings.signing_keys
    async with AsyncExitStack() as stack:
        # Closed in reverse: first no new requests, then those under way, then what answered them.
        folder_reader = stack.enter_context(_threads(1, "folder"))
        workers = stack.enter_context(_threads(2, "worker"))
        shadow_worker = stack.enter_context(_threads(1, "shadow"))
        trial = Trial()
        stack.push_async_callback(trial.close)
        log = AccessLog(write_log)
        log.start()
        stack.callback(log.close)
        metrics = Metrics()
        stream = RedisStream(settings.redis) if settings.redis_url else None
        if stream is not None:
            await stack.enter_async_context(_background(stream.run()))
        announcer = Announcer(metrics, stream or NoStream(), f"inference/{os.getpid()}")
        loader = Loader(
            settings.models_dir, keys, executor=folder_reader, workers=workers, trial=trial, observe=metrics.batch
        )
        manager = Manager(settings.models_dir, keys, loader, announcer, executor=folder_reader)
        stack.push_async_callback(manager.close)
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, manager.wake)
        watcher = Watcher(settings.models_dir, wake, settings.inference_watch)
        stack.callback(watcher.close)

        def supervise() -> None:
            watcher.supervise()
            settings.tell_ready()  # its age says when the folder was last looked at

        if metrics_folder is not None:
            # Others answer on this port meanwhile: a process that knows no model yet would only refuse.
            await _first_look(manager)
        await stack.enter_async_context(_background(manager.run(settings.inference_poll_s, supervise)))
        service = Service(settings, manager, metrics, workers, shadow_worker, metrics_folder=metrics_folder)
        if metrics_folder is not None:
            await stack.enter_async_context(_background(_leave_figures(service, metrics_folder)))
        await stack.enter_async_context(_accepting(service, listener, log))
        yield service


async def _first_look(manager: Manager) -> None:
    """Loads what is live, as far as that is quick; the loop that follows does the rest."""
    try:
        async with asyncio.timeout(_FIRST_LOOK_S):
            await manager.reconcile_once()
    except Exception as error:  # noqa: BLE001 - whatever it was, the loop looks again and says more
        get_logger(__name__).warning(
            "the first look at the model folder failed", error=str(error) or "it took too long"
        )


@asynccontextmanager
async def _accepting(service: Service, listener: socket.socket, log: AccessLog) -> AsyncIterator[None]:
    """Accepts requests; ends when those under way are answered, or after some seconds."""
    settings = service.settings
    application = Application(
        service, keys=ApiKeys(_listed(settings.inference_api_keys)), origins=_origins(settings), log=log
    )
    server = Server(
        application, access_log=None, keepalive_timeout=KEEPALIVE_S, lingering_time=_LINGER_S, auto_decompress=False
    )
    runner = web.ServerRunner(server, shutdown_timeout=_FINISH_S)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, backlog=_BACKLOG).start()
        get_logger(__name__).info("serving", address=listener.getsockname()[:2])
        yield
    finally:
        await runner.cleanup()


def bound_socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket bound to an address; `shared` with other processes, among which the kernel spreads connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.setblocking(False)  # noqa: FBT003 - the name of the method says it
    except BaseException:
        listener.close()
        raise
    return listener


async def _leave_figures(service: Service, folder: MetricsFolder) -> None:
    """Lets the other processes of this port know this one's counts."""
    while True:
        await asyncio.sleep(_LEAVE_FIGURES_S)
        try:
            await service.blocking(folder.leave, service.figures())
        except OSError as error:
            get_logger(__name__).warning("the counts could not be left", error=str(error))


@asynccontextmanager
async def _background(work: Any) -> AsyncIterator[None]:
    """Runs a coroutine while the context lasts."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        await end_tasks([task])


def _threads(count: int, name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix=name)


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _origins(settings: Settings) -> Origins:
    return Origins(_listed(settings.inference_cors_origins))
