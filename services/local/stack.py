"""The processes of one stack: what each is started with, when it works, and how it is ended."""

import contextlib
import signal
import sys
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import msgspec

import services
from services.local.forks import Forks
from services.local.health import Check, answers_http, answers_postgres, answers_redis, any_is_away, keeps_touching
from services.local.home import Home
from services.local.launching import Launch, spawn
from services.local.servers import STOP_POSTGRES, STOP_REDIS, Command
from services.local.supervisor import Service
from services.local.surroundings import FLOWER_USER, Surroundings

WORKERS = ("ingest", "preprocess", "train")
# What has no worker cannot be asked for anything; what serves needs nothing else and is there first.
APPLICATIONS = ("inference", *WORKERS, "beat", "console", "flower")
SERVERS = ("postgres", "redis")
# Ended in this order, each group side by side: first all that stand on others, so that workers hand back their leases
# while PostgreSQL still takes them; then what those stand on. What each is given (`end_with`) adds up to less than ten
# seconds: six for a worker amid a fit, three and a half for PostgreSQL.
ENDING = (APPLICATIONS, ("nursery", *SERVERS))
# What the forked processes import, and how they are called where imports alone would not do.
PRELOADED = (
    "asyncpg",
    "beat.scheduler",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "common.bundles.live",
    "common.bundles.retention",
    "common.events.runtime",
    "flower.command",
    "kombu.transport.redis",
    "redis.asyncio",
    "services.console.app",
    "services.console.parts",
    "services.ingest.completeness",
    "services.ingest.handlers",
    "services.local.progress",
    "services.local.summary",
    "services.preprocess.handlers",
    "services.train.handlers",
    "services.train:preload",
    "sqlalchemy.dialects.postgresql.asyncpg",
)
# Worker and beat touch their file every five seconds and each round, as long as Redis and PostgreSQL answer and what
# waits is taken. While Redis or PostgreSQL is away nobody is killed for it: that would help nobody, and end a fit.
STALE_S = 45.0
# Celery waits for a task under way on SIGTERM; SIGQUIT cuts it off after two seconds, its lease is freed, and the
# next start takes the event up again.
END_WORKER = ((signal.SIGTERM, 1.0), (signal.SIGQUIT, 5.0))


def project_folder() -> Path:
    """The folder that holds alembic.ini and migrations."""
    return Path(services.__path__[0]).parent


class Stack:
    """Makes the services of one instance."""

    def __init__(self, home: Home, around: Surroundings) -> None:
        self._home = home
        self._around = around
        self._forks = Forks()

    def nursery(self) -> Service:
        """The process that the applications are forked from, apart from inference, which imports none of it."""
        return Service(
            name="nursery",
            command=self._command("services.local.nursery", *PRELOADED),
            launch=self._forks.open,
            healthy=self._forks.works,
            end_with=((signal.SIGTERM, 1.0),),
            log_file=self._log("nursery"),
        )

    async def show_first_run(self, began: float, output: IO[bytes]) -> int:
        """Runs first_run.py where the person is; returns its exit code, and takes it along when cancelled."""
        command = self._command("services.local.first_run", str(began))
        process = await self._forks.fork(msgspec.structs.replace(command, cwd=str(Path.cwd())), output)
        try:
            return await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def servers(self) -> list[Service]:
        """PostgreSQL and Redis, as far as they were not given."""
        found = []
        if self._around.postgres is not None:
            postgres = self._around.postgres
            password = self._home.make_secret("database_password")
            found.append(
                Service(
                    name="postgres",
                    command=postgres.command(),
                    healthy=answers_postgres(postgres.url(password, "postgres")),
                    prepare=lambda: postgres.prepare(password),
                    end_with=((STOP_POSTGRES, 2.5), (signal.SIGQUIT, 1.0)),
                    log_file=self._log("postgres"),
                )
            )
        if self._around.redis is not None:
            redis = self._around.redis
            key = self._home.make_secret("redis_password")
            found.append(
                Service(
                    name="redis",
                    command=redis.command(),
                    healthy=answers_redis(redis.port, key),
                    checked=True,
                    prepare=lambda: redis.prepare(key),
                    end_with=((STOP_REDIS, 3.0),),
                    log_file=self._log("redis"),
                )
            )
        return found

    def applications(self) -> list[Service]:
        """The processes of Rookery itself."""
        settings = self._around.settings
        processes = {"ingest": 1, "preprocess": 1, "train": settings.train_processes}
        return [
            self._web("inference", settings.inference_port, spawn),
            *(self._worker(name, processes[name]) for name in WORKERS),
            self._beat(),
            self._web("console", settings.console_port, self._forks.fork),
            self._flower(),
        ]

    def _command(self, *words: str, **extra: str) -> Command:
        return Command(
            argv=(sys.executable, "-m", *words), env=self._around.environment | extra, cwd=str(self._home.path)
        )

    def _log(self, name: str) -> Path:
        return self._home.logs / f"{name}.log"

    def _servers_away(self) -> Check:
        settings = self._around.settings
        database, redis = urlsplit(settings.database("")), urlsplit(settings.redis)
        return any_is_away(
            [(database.hostname or "", database.port or 5432), (redis.hostname or "", redis.port or 6379)]
        )

    def _worker(self, name: str, concurrency: int) -> Service:
        ready = self._home.run / f"{name}.ready"
        words = ("celery", "-A", f"services.{name}.worker:app", "worker", "-n", f"{name}@%h", "-c", str(concurrency))
        return Service(
            name=name,
            command=self._command(*words, "--without-gossip", "--without-mingle", READY_FILE=str(ready)),
            launch=self._forks.fork,
            healthy=keeps_touching(ready, within_s=STALE_S),
            checked=True,
            excused=self._servers_away(),
            prepare=lambda: ready.unlink(missing_ok=True),
            end_with=END_WORKER,
            log_file=self._log(name),
        )

    def _beat(self) -> Service:
        ready = self._home.run / "beat.ready"
        return Service(
            name="beat",
            command=self._command("celery", "-A", "beat.app:app", "beat", "--pidfile=", READY_FILE=str(ready)),
            launch=self._forks.fork,
            healthy=keeps_touching(ready, within_s=STALE_S),
            checked=True,
            excused=self._servers_away(),
            prepare=lambda: ready.unlink(missing_ok=True),
            end_with=((signal.SIGTERM, 3.0),),
            log_file=self._log("beat"),
        )

    def _web(self, name: str, port: int, launch: Launch) -> Service:
        return Service(
            name=name,
            command=self._command(f"services.{name}.main"),
            launch=launch,
            healthy=answers_http(self._around.host, port, "/health"),
            checked=True,
            end_with=((signal.SIGTERM, 2.5),),
            log_file=self._log(name),
        )

    def _flower(self) -> Service:
        settings = self._around.settings
        words = [
            *("celery", "-A", "beat.app:app", "flower"),
            f"--address={settings.bind_host}",
            f"--port={settings.flower_port}",
            "--persistent=True",
            f"--db={self._home.path / 'flower' / 'tasks'}",
            "--state_save_interval=60000",
            "--tasks_columns=name,args,state,result,received,runtime,worker,uuid",
        ]
        password = self._home.make_secret("flower_password")
        return Service(
            name="flower",
            command=self._command(*words, FLOWER_BASIC_AUTH=f"{FLOWER_USER}:{password}"),
            launch=self._forks.fork,
            healthy=answers_http(self._around.host, settings.flower_port, "/healthcheck"),
            checked=True,
            end_with=((signal.SIGTERM, 2.0),),
            log_file=self._log("flower"),
        )
