"""One run: servers, workers and beat of its own, kept running by the stack's supervisor, and broken on purpose."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec
import psutil
import redis as redis_client
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from common.database.engine import database_engine
from common.events.broker import make_app
from common.events.publisher import Publisher
from common.settings import Settings, load_settings
from services.local.health import answers_postgres, answers_redis
from services.local.servers import STOP_POSTGRES, Redis
from services.local.supervisor import Service, Supervisor
from tests.faults.ground import PASSWORD, Ground, pick_port, plain_environment
from tests.faults.history import Fault, History, Lived
from tests.faults.launch import Launch
from tests.faults.proxy import Proxy

LOOK_S = 0.02
SERVICES = ("ingest", "preprocess", "train")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run consists of: workers per service, beats, settings of theirs, and a protection to take away.

    With `redis_via`, workers and beat reach Redis through that port, where the arena's proxy listens.
    `real` runs the product's own workers and beat instead of those that only leave a trace.
    """

    name: str
    workers: int = 1
    beats: int = 1
    environment: Mapping[str, str] = {}
    control: str = ""
    redis_via: int | None = None
    real: bool = False
    server_environment: Mapping[str, str] = {}


class Arena:
    """A running chain. `down_s` says how long a server stays away when it is ended next."""

    engine: AsyncEngine
    publisher: Publisher
    proxy: Proxy

    def __init__(self, ground: Ground, plan: Plan) -> None:
        self.plan = plan
        self.folder = ground.new_run(plan.name.replace(" ", "-"))
        self.history = History(self.folder / "history.jsonl")
        self.down_s = {"postgres": 0.0, "redis": 0.0}
        self.crashes = self.folder / "crashes"
        self.shared = self.folder / "shared"
        self._postgres = ground.postgres(self.folder)
        self._redis = Redis(folder=self.folder / "redis", port=pick_port())
        self._supervisor = Supervisor(self.folder / "processes.json", lambda _line: None)
        self._planned: set[int] = set()
        self._stopped: set[int] = set()
        self._stack = contextlib.AsyncExitStack()
        for path in (self.crashes, *(self.shared / name for name in ("datasets", "data", "models"))):
            path.mkdir(parents=True)
        self.environment = plain_environment(
            DATABASE_URL=self._postgres.url(PASSWORD),
            REDIS_URL=self.redis_url(plan.redis_via),
            SHARED_DIR=str(self.shared),
            ROOKERY_HOME=str(self.folder / "home"),
            ROOKERY_SIGNING_KEY="0123456789abcdef0123456789abcdef",
            CRASHES=str(self.crashes),
            CONTROL=plan.control,
            LOG_FORMAT="json",
            **plan.environment,
        )
        self.settings: Settings = load_settings({**self.environment, "REDIS_URL": self.redis_url()})

    @property
    def redis_port(self) -> int:
        """Where Redis itself listens."""
        return self._redis.port

    def redis_url(self, port: int | None = None) -> str:
        """Redis's address, or that of what stands before it."""
        return msgspec.structs.replace(self._redis, port=port or self._redis.port).url(PASSWORD)

    async def __aenter__(self) -> Self:
        """Starts everything and waits until it works."""
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends everything: what stands on the servers first."""
        await self._stack.aclose()

    async def _open(self) -> None:
        self._stack.callback(self.history.close)
        launch = Launch(self.folder, self.environment, self.plan.server_environment)
        self._postgres.prepare(PASSWORD)
        self._redis.prepare(PASSWORD)
        url = self._postgres.url(PASSWORD)
        servers = [
            launch.server("postgres", self._postgres.command(), answers_postgres(url), STOP_POSTGRES, self._prepare),
            launch.server(
                "redis", self._redis.command(), answers_redis(self._redis.port, PASSWORD), signal.SIGTERM, self._prepare
            ),
        ]
        await self._run(servers)
        if self.plan.redis_via:
            self.proxy = await self._stack.enter_async_context(Proxy(self.plan.redis_via, self._redis.port))
        self.engine = await self._stack.enter_async_context(database_engine(self.settings, "harness"))
        self.publisher = Publisher(make_app(self.settings, "harness"))
        self._stack.callback(self.publisher.close)
        worker, beat = (launch.real_worker, launch.real_beat) if self.plan.real else (launch.worker, launch.beat)
        workers = [worker(service, number) for service in SERVICES for number in range(1, self.plan.workers + 1)]
        beats = [beat(number) for number in range(1, self.plan.beats + 1)]
        watch = asyncio.create_task(self._watch())
        self._stack.callback(watch.cancel)
        await self._run([*workers, *beats])

    async def _run(self, services: list[Service]) -> None:
        """Starts services, waits until they work, and has them ended at the end."""
        names = [service.name for service in services]
        self._stack.push_async_callback(self._end, names)
        for service in services:
            self._supervisor.start(service)
        await self._supervisor.wait_healthy(names)

    async def _end(self, names: list[str]) -> None:
        self._planned.update(identity.pid for identity in self._supervisor.identities())
        for pid in list(self._stopped):
            self.go_on(pid)
        await self._supervisor.end(names)

    def _prepare(self, name: str) -> None:
        """Runs before each start of a server: lets it be away for as long as it was told to."""
        time.sleep(self.down_s[name])
        (self._postgres if name == "postgres" else self._redis).prepare(PASSWORD)

    # What is there.

    def names(self, prefix: str = "") -> list[str]:
        """The processes that run now, by name."""
        return [one.name for one in self._supervisor.identities() if one.name.startswith(prefix)]

    def pid(self, name: str) -> int | None:
        """The process of a name; None while it is being started again."""
        return next((one.pid for one in self._supervisor.identities() if one.name == name), None)

    def children(self, name: str) -> list[int]:
        """The processes that a worker has forked."""
        pid = self.pid(name)
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()] if pid else []
        return []

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        """The rows of a query."""
        async with self.engine.connect() as connection:
            return list((await connection.execute(text(statement), values)).all())

    @contextlib.contextmanager
    def redis(self) -> Any:
        """A client of Redis itself."""
        with redis_client.Redis.from_url(self.redis_url(), socket_timeout=5) as client:
            yield client

    # What is done to it.

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL, *, pid: int | None = None) -> int | None:
        """Sends a process a signal that ends it; returns its pid."""
        target = pid or self.pid(name)
        if target is None:
            return None
        self._planned.add(target)
        with contextlib.suppress(ProcessLookupError):
            os.kill(target, number)
        return target

    def stop(self, pid: int) -> None:
        """Stops a process in its tracks."""
        self._stopped.add(pid)
        os.kill(pid, signal.SIGSTOP)

    def go_on(self, pid: int) -> None:
        """Lets a stopped process go on."""
        self._stopped.discard(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def fault(self, name: str, target: str, *, at: float, over_at: float | None = None) -> None:
        """Records something that was broken."""
        self.history.note(Fault(name=name, target=target, at=at, over_at=over_at or time.time()))

    async def take_down(self, name: str, down_s: float, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends a server, keeps it away for a while, and waits until it works again."""
        self.down_s[name] = down_s
        before = self.pid(name)
        at = time.time()
        self.kill(name, how)
        answers = answers_postgres(self._postgres.url(PASSWORD)) if name == "postgres" else self._redis_answers()
        async with asyncio.timeout(60 + down_s):
            while self.pid(name) in {None, before} or not await _quietly(answers):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(LOOK_S)
        self.fault(how.name, name, at=at)

    def _redis_answers(self) -> Any:
        return answers_redis(self._redis.port, PASSWORD)

    async def working(self, seconds: float = 20.0) -> list[str]:
        """Waits until every process runs and has said so; returns those that do not."""
        wanted = [f"{service}-{number}" for service in SERVICES for number in range(1, self.plan.workers + 1)]
        wanted += [f"beat-{number}" for number in range(1, self.plan.beats + 1)]
        deadline = time.monotonic() + seconds
        while True:
            missing = [name for name in wanted if self.pid(name) is None or not self._ready(name)]
            if not missing or time.monotonic() > deadline:
                return missing
            await asyncio.sleep(LOOK_S)

    def _ready(self, name: str) -> bool:
        return (self.folder / f"{name}.ready").exists()

    async def _watch(self) -> None:
        """Records each end of a process, and whether the harness had wanted it."""
        known: dict[str, int] = {}
        while True:
            now = {identity.name: identity.pid for identity in self._supervisor.identities()}
            for name, pid in known.items():
                if now.get(name) != pid:
                    self.history.note(Lived(name=name, pid=pid, at=time.time(), planned=pid in self._planned))
            known = now
            await asyncio.sleep(LOOK_S)

    async def drained(self, seconds: float = 60.0) -> float | None:
        """Waits until no run is open; returns when that was, None where for so long nothing has got less."""
        deadline, fewest = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, DBAPIError):
                (row,) = await self.rows(
                    "SELECT (SELECT count(*) FROM rookery.runs WHERE state = 'running')"
                    " + (SELECT count(*) FROM rookery.events WHERE handled_at IS NULL AND dead_at IS NULL) AS open"
                )
                if row.open == 0:
                    return time.time()
                if fewest is None or row.open < fewest:
                    deadline, fewest = time.monotonic() + seconds, row.open
            await asyncio.sleep(LOOK_S)
        return None


async def _quietly(check: Any) -> bool:
    """A check's answer; False where it cannot be asked."""
    try:
        return bool(await check())
    except OSError:
        return False


@contextlib.asynccontextmanager
async def running(ground: Ground, plan: Plan) -> AsyncIterator[Arena]:
    """A run of a plan."""
    async with Arena(ground, plan) as arena:
        yield arena


def chosen(seed: int) -> random.Random:
    """The source of a schedule's choices."""
    return random.Random(seed)  # noqa: S311 - the same faults for the same seed
