"""The real parts that tests run on: a PostgreSQL and a Redis of their own per test process, thrown away afterwards.

- `postgres`: settings whose DATABASE_URL is a fresh, migrated database of this test.
- `redis`: the URL of an emptied Redis.
- `settings`: both, with a signing key and empty `datasets`, `data` and `models` folders of this test.

Nothing here is shared between test processes, so any number of them may run at once, as root or not.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
import redis as redis_client

from common.settings import Settings
from services.local import processes
from services.local.processes import Identity
from services.local.servers import Command, Postgres, Redis, free_port, postgres_binaries, server_account
from tests.waiting import wait_until

# A shell without job control has what it puts in the background ignore SIGINT, and so would what the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
PASSWORD = "of-a-throw-away-server"
TEMPLATE = "migrated"


class _Servers:
    """What this test process has started: recorded on disk, so that the next run ends what a killed one left."""

    def __init__(self, shelf: Path) -> None:
        self.folder = shelf / f"{os.getpid()}-{secrets.token_hex(4)}"
        self.folder.mkdir(parents=True)
        self._identities: list[Identity] = [processes.myself("owner")]
        self._children: list[subprocess.Popen[bytes]] = []
        self._record()

    def start(self, name: str, command: Command) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command.argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **command.options()
            )
        self._children.append(child)
        self._identities.append(processes.identify(name, child.pid))
        self._record()
        return child

    def close(self) -> None:
        processes.end(self._identities[1:])
        for child in self._children:
            child.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self) -> None:
        processes.write_identities(self.folder / "processes.json", self._identities)


def _end_leftovers(shelf: Path) -> None:
    """Ends the servers of test processes that were killed, and removes their folders."""
    for folder in shelf.iterdir():
        identities = processes.read_identities(folder / "processes.json")
        if identities and not identities[0].alive:
            processes.end(identities[1:])
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[_Servers]:
    """The shelf of this test process's servers."""
    shelf = Path(tempfile.gettempdir()).resolve() / f"rookery-tests-{os.geteuid()}"
    shelf.mkdir(mode=0o755, exist_ok=True)
    _end_leftovers(shelf)
    started = _Servers(shelf)
    yield started
    started.close()


@pytest.fixture(scope="session")
def postgres_server(servers: _Servers) -> Postgres:
    """A running PostgreSQL with a migrated template database."""
    account = server_account()
    server = Postgres(
        binaries=postgres_binaries(account),
        data=servers.folder / "postgres",
        sockets=servers.folder / "sockets",
        port=free_port(0),
        account=account,
        durable=False,
    )
    server.prepare(PASSWORD)
    child = servers.start("postgres", server.command())

    def connects() -> bool:
        assert child.poll() is None, (servers.folder / "postgres.log").read_text()
        try:
            psycopg.connect(server.url(PASSWORD, "postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    wait_until(connects, what="a connection to PostgreSQL")
    _execute(server, f"CREATE DATABASE {TEMPLATE}")
    _migrate(server.url(PASSWORD, TEMPLATE))
    return server


@pytest.fixture(scope="session")
def redis_server(servers: _Servers) -> str:
    """The URL of a running Redis."""
    server = Redis(folder=servers.folder / "redis", port=free_port(0))
    server.prepare(PASSWORD)
    child = servers.start("redis", server.command())
    url = server.url(PASSWORD)

    def answers() -> bool:
        assert child.poll() is None, (servers.folder / "redis.log").read_text()
        with redis_client.Redis.from_url(url) as client:
            try:
                return bool(client.ping())
            except redis_client.ConnectionError:
                return False

    wait_until(answers, what="an answer of Redis")
    return url


@pytest.fixture
def database_url(postgres_server: Postgres) -> Iterator[str]:
    """The URL of a fresh, migrated database; it is dropped after the test, whoever is still connected."""
    name = f"test_{secrets.token_hex(6)}"
    _execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    yield postgres_server.url(PASSWORD, name)
    _execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def shared_dir(tmp_path: Path) -> Path:
    """A shared folder of this test, empty."""
    for name in ("datasets", "data", "models"):
        (tmp_path / "shared" / name).mkdir(parents=True)
    return tmp_path / "shared"


@pytest.fixture
def postgres(database_url: str, shared_dir: Path) -> Settings:
    """Settings with a fresh, migrated database, and no Redis."""
    return Settings(
        rookery_home=str(shared_dir.parent / "home"),
        shared_dir=str(shared_dir),
        database_url=database_url,
        rookery_signing_key="0123456789abcdef0123456789abcdef",
    )


@pytest.fixture
def redis(redis_server: str) -> str:
    """The URL of an emptied Redis."""
    with redis_client.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def settings(postgres: Settings, redis: str) -> Settings:
    """Settings with a fresh database and an emptied Redis."""
    return msgspec.structs.replace(postgres, redis_url=redis)


def _execute(server: Postgres, statement: str) -> None:
    with psycopg.connect(server.url(PASSWORD, "postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


def _migrate(url: str) -> None:
    """Runs the migrations as the stack does: in a process of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
