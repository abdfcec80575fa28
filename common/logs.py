"""Structured logs: JSON lines in files, readable on a terminal, each with the event and the run it belongs to."""

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from common.settings import Settings


def configure_logs(settings: Settings, service: str, *, output: TextIO | None = None) -> None:
    """Makes structlog and the standard library write the same lines to standard error, or to another output."""
    output = output or sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not output.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _of(service),
    ]
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=output.isatty())]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        ),
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for noisy in ("asyncio", "aiohttp.access", "watchdog", "matplotlib", "kombu", "amqp", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _of(service: str) -> Processor:
    """A processor that says which service a line is from."""

    def stamp(_logger: Any, _method: str, line: Any) -> Any:
        line.setdefault("service", service)
        return line

    return stamp


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
