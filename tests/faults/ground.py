"""Where runs take place: a folder of this harness process, with a migrated database to copy for each run.

Any number of harness processes may run at once. Each records what it has started; the next one ends what a killed one
has left.
"""

import contextlib
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

from services.local import processes
from services.local.servers import STOP_POSTGRES, Postgres, free_port, postgres_binaries, server_account
from tests.faults.chain import SCHEMA

ROOT = Path(__file__).parents[2]
PASSWORD = "of-a-harness-s-own-server"
# Below the ports that systems give to outgoing connections: a server that is down must find its port free again.
PORTS = (15_000, 30_000)


def pick_port() -> int:
    """A port that nobody uses and that nobody will be given while its server is down for a moment."""
    return free_port(random.SystemRandom().randrange(*PORTS))


class Ground:
    """The folder of a harness process, and the data folder that each run's PostgreSQL begins with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs = 0

    def new_run(self, name: str) -> Path:
        """A fresh folder for a run, which `nobody` may walk through."""
        self._runs += 1
        path = self.folder / f"{self._runs:02}-{name}"
        path.mkdir(mode=0o755)
        return path

    def postgres(self, run: Path) -> Postgres:
        """The PostgreSQL of a run, with a copy of the migrated data. It is durable: it is going to be killed."""
        account = server_account()
        server = Postgres(
            binaries=postgres_binaries(account),
            data=run / "postgres",
            sockets=run / "sockets",
            port=pick_port(),
            account=account,
        )
        if self.template.exists():
            subprocess.run(["cp", "-a", str(self.template), str(server.data)], check=True)
        return server

    @property
    def template(self) -> Path:
        """The data folder to copy."""
        return self.folder / "template"

    def make_template(self) -> None:
        """Makes the data folder that runs begin with: initialised, migrated, with the table of effects."""
        run = self.new_run("template")
        server = self.postgres(run)
        server.prepare(PASSWORD)
        with (run / "postgres.log").open("ab") as log:
            child = subprocess.Popen(server.command().argv, stdout=log, stderr=log, **server.command().options())
        identity = processes.identify("postgres", child.pid)
        try:
            with _connect(server) as connection:
                connection.execute("CREATE DATABASE rookery")
            environment = os.environ | {"DATABASE_URL": server.url(PASSWORD)}
            subprocess.run(
                [sys.executable, "-m", "alembic", "upgrade", "head"],
                cwd=ROOT, env=environment, check=True, capture_output=True,
            )  # fmt: skip
            with psycopg.connect(server.url(PASSWORD), autocommit=True) as connection:
                connection.execute(SCHEMA.encode())
        finally:
            processes.end([identity], first=STOP_POSTGRES)
            child.wait()
        server.data.rename(self.template)


def _connect(server: Postgres) -> psycopg.Connection[tuple[object, ...]]:
    """Connects as soon as the server takes connections."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(server.url(PASSWORD, "postgres"), autocommit=True, connect_timeout=5)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def shelf() -> Path:
    """The folder of all harness processes of this user."""
    path = Path(tempfile.gettempdir()).resolve() / f"rookery-faults-{os.geteuid()}"
    path.mkdir(mode=0o755, exist_ok=True)
    return path


@contextlib.contextmanager
def ground(*, keep: bool = False) -> Iterator[Ground]:
    """The ground of this process; it is removed afterwards unless it is to be looked at."""
    _end_leftovers()
    folder = shelf() / f"{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    processes.write_identities(folder / "owner.json", [processes.myself("owner")])
    made = Ground(folder)
    made.make_template()
    try:
        yield made
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _end_leftovers() -> None:
    """Ends what harness processes that were killed have left, and removes their folders."""
    for folder in shelf().iterdir():
        owner = processes.read_identities(folder / "owner.json")
        if owner and not owner[0].alive:
            for record in folder.glob("*/processes.json"):
                processes.end(processes.read_identities(record), patience_s=0.5)
            shutil.rmtree(folder, ignore_errors=True)


def plain_environment(**extra: str) -> Mapping[str, str]:
    """The environment of a worker of the harness: this one's, without any setting of ours, and with `extra`."""
    ours = ("ROOKERY_", "DATABASE_URL", "REDIS_", "APP_DB_", "INFERENCE_", "SHARED_DIR", "LEASE_S", "READY_FILE")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | extra
