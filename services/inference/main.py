"""Starts the prediction API: `python -m services.inference.main`. The one place where it reads its environment."""

import asyncio
import os
import secrets
import signal
import socket
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import uvloop
from threadpoolctl import threadpool_limits

from common.errors import SettingsError
from common.logs import configure_logs, get_logger
from common.settings import Settings, load_settings
from services.inference.metrics import MetricsFolder
from services.inference.process import bound_socket, serving
from services.inference.workers import supervise


def main() -> None:
    """Serves until SIGINT or SIGTERM; ends with 2 and one line where a setting is wrong."""
    try:
        settings = load_settings(os.environ)
        _ = settings.signing_keys
        configure_logs(settings, "inference")
        code = _run(settings)
    except SettingsError as error:
        sys.stderr.write(f"{error.message}\n")
        code = 2
    except OSError as error:
        where = f"{settings.bind_host}:{settings.inference_port}"
        sys.stderr.write(f"INFERENCE_PORT: cannot listen on {where}: {error.strerror}\n")
        code = 2
    sys.exit(code)


def _run(settings: Settings) -> int:
    folder = settings.inference_figures_dir
    # The matrices of requests are small: a second BLAS thread only spins beside the loop, and doubles an SVC's time.
    threadpool_limits(1, "blas")
    if settings.inference_workers == 1:
        figures = _figures_in(folder, "0") if folder else None
        with bound_socket(settings.bind_host, settings.inference_port, shared=bool(folder)) as listener:
            uvloop.run(_serve(settings, listener, figures))
        return 0
    # Held while the children come and go, so that no other program takes the port; nothing is accepted on it.
    with (
        bound_socket(settings.bind_host, settings.inference_port, shared=True) as holder,
        nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="rookery-inference-") as figures_dir,
    ):
        port = holder.getsockname()[1]

        def child(number: int, attempt: int) -> None:
            figures = _figures_in(figures_dir, f"{number}-{attempt}")
            with bound_socket(settings.bind_host, port, shared=True) as listener:
                uvloop.run(_serve(settings, listener, figures))

        return supervise(child, settings.inference_workers)


def _figures_in(folder: str, name: str) -> MetricsFolder:
    """This process's place among the counts; processes of other containers may have the same pid."""
    return MetricsFolder(Path(folder), f"{name}-{os.getpid()}-{secrets.token_hex(4)}")


async def _serve(settings: Settings, listener: socket.socket, figures: MetricsFolder | None) -> None:
    """Serves until a signal asks to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings, listener, write_log=_write_log, metrics_folder=figures):
        await stop.wait()
    get_logger(__name__).info("stopped")


def _write_log(lines: bytes) -> None:
    sys.stderr.buffer.write(lines)
    sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
