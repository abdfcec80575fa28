"""`rookery psql` and `rookery redis`: the shells of this instance, without a password typed or shown."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from services.local.servers import postgres_binaries, redis_program, server_account
from services.local.session import open_session
from services.local.surroundings import psql_url, tool_environment


def psql_command(arguments: Sequence[str]) -> NoReturn:
    """Becomes psql."""
    session = open_session()
    program = postgres_binaries(server_account()) / "psql"
    _become(
        program,
        [psql_url(session.settings), *arguments],
        tool_environment(session.home, session.settings, session.environment),
    )


def redis_command(arguments: Sequence[str]) -> NoReturn:
    """Becomes redis-cli."""
    session = open_session()
    parts = urlsplit(session.settings.redis)
    words = ["-h", parts.hostname or "127.0.0.1", "-p", str(parts.port or 6379), "--no-auth-warning"]
    database = parts.path.strip("/")
    words += ["-n", database] if database.isdigit() else []
    words += ["--user", parts.username] if parts.username else []
    _become(
        redis_program("redis-cli"),
        [*words, *arguments],
        tool_environment(session.home, session.settings, session.environment),
    )


def _become(program: Path, arguments: Sequence[str], environment: dict[str, str]) -> NoReturn:
    """Replaces this process, so that signals and the terminal are the program's own."""
    os.execve(program, [str(program), *arguments], environment)  # noqa: S606 - no shell is wanted
