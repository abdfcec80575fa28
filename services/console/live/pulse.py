"""Whether the parts of the installation work: by what they did lately, not by whether their processes exist."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import msgspec
from celery import Celery
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from common.datasets import DatasetSpec, load_specs
from common.settings import Settings
from services.console.live.serving import Serving

_POSTGRES_TIMEOUT_S = 3.0
_WORKERS_EVERY_S = 15.0
_WORKERS_TIMEOUT_S = 1.0
_BEAT_GRACE_S = 15.0
_SOCKET = {"socket_timeout": 3.0, "socket_connect_timeout": 1.0}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part. State: ok, waiting (works, has nothing yet), down, unknown. `since`: when it went down (Unix time)."""

    name: str
    state: str
    figure: str = ""
    detail: str = ""
    since: float | None = None


class Pulse:
    """Looks at all parts; remembers since when one is down, and asks workers only now and then: that is a broadcast."""

    def __init__(
        self,
        settings: Settings,
        engine: AsyncEngine,
        redis: Redis,
        serving: Serving,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Takes what it looks at."""
        self._settings = settings
        self._engine = engine
        self._redis = redis
        self._serving = serving
        self._clock = clock
        self._down_since: dict[str, float] = {}
        self._workers: tuple[float, dict[str, int]] = (0.0, {})
        self._asking = asyncio.Lock()
        # Without the guard at the queues: that would park the workers' answers, which are no events.
        self._broadcaster = Celery("rookery.console.pulse", broker=settings.redis, set_as_current=False)
        self._broadcaster.conf.update(broker_transport_options=_SOCKET, broker_connection_retry=False)

    async def look(self) -> list[Part]:
        """All parts, in the order in which people read them."""
        (postgres, schedule), redis = await asyncio.gather(self._postgres(), self._look_at_redis())
        workers = await self._look_at_workers(answers=redis.state == "ok")
        beat = (
            self._beat(schedule) if postgres.state == "ok" else Part(name="beat", state="unknown", figure="not asked")
        )
        parts = [postgres, redis, beat, workers, self._inference()]
        return [self._timed(part) for part in parts]

    async def redis_answers(self) -> bool:
        """Whether Redis answers now."""
        return (await self._look_at_redis()).state == "ok"

    def _timed(self, part: Part) -> Part:
        """The part with the time since which it is down."""
        if part.state != "down":
            self._down_since.pop(part.name, None)
            return part
        return msgspec.structs.replace(part, since=self._down_since.setdefault(part.name, self._clock()))

    async def _postgres(self) -> tuple[Part, dict[str, float]]:
        """PostgreSQL, and how long ago the schedule asked for something, per data set."""
        try:
            async with asyncio.timeout(_POSTGRES_TIMEOUT_S), self._engine.connect() as connection:
                connected = time.perf_counter()
                rows = await connection.execute(
                    text(
                        "SELECT d.name, extract(epoch FROM clock_timestamp() - r.started_at)::float8 AS ago"
                        " FROM unnest(CAST(:names AS text[])) d(name) CROSS JOIN LATERAL (SELECT started_at"
                        "  FROM rookery.runs WHERE dataset = d.name AND requested_by = 'schedule'"
                        "  ORDER BY started_at DESC LIMIT 1) r"
                        " WHERE NOT EXISTS (SELECT 1 FROM rookery.datasets p WHERE p.name = d.name AND p.paused)"
                    ),
                    {"names": list(self._intervals())},
                )
                ago = {row.name: row.ago for row in rows}
        except (OSError, TimeoutError, DBAPIError) as error:
            original = getattr(error, "orig", None) or error
            return Part(name="postgres", state="down", figure="down", detail=_line(original)), {}
        return Part(name="postgres", state="ok", figure=_ms(time.perf_counter() - connected)), ago

    async def _look_at_redis(self) -> Part:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(_POSTGRES_TIMEOUT_S):
                await self._redis.echo("?")
        except (RedisError, OSError, TimeoutError) as error:
            return Part(name="redis", state="down", figure="down", detail=_line(error))
        return Part(name="redis", state="ok", figure=_ms(time.perf_counter() - began))

    def _intervals(self) -> dict[str, float]:
        specs = load_specs(self._settings.datasets_dir)
        return {name: spec.interval_s for name, spec in specs.items() if isinstance(spec, DatasetSpec)}

    def _beat(self, ago: dict[str, float]) -> Part:
        """Beat works if no data set's tick is overdue by more than two intervals and a little."""
        intervals = self._intervals()
        if not ago:
            return Part(name="beat", state="waiting", figure="no tick yet")
        late = {name: seconds for name, seconds in ago.items() if seconds > 2 * intervals[name] + _BEAT_GRACE_S}
        if len(late) == len(ago):
            return Part(
                name="beat", state="down", figure="late", detail=f"the last tick was {min(late.values()):.0f} s ago"
            )
        return Part(name="beat", state="ok", figure=f"{min(intervals.values()):g} s")

    async def _look_at_workers(self, *, answers: bool) -> Part:
        """The worker processes, by their answer to a broadcast; a busy worker's parent answers too."""
        if not answers:
            return Part(name="workers", state="unknown", figure="not asked")
        async with self._asking:
            asked_at, found = self._workers
            if self._clock() - asked_at > _WORKERS_EVERY_S:
                found = await asyncio.to_thread(self._ask_workers)
                self._workers = (self._clock(), found)
        missing = [name for name in ("ingest", "preprocess", "train") if not found.get(name)]
        total = sum(found.values())
        if missing:
            return Part(
                name="workers", state="down", figure=f"{total} there", detail=f"no {' and no '.join(missing)} worker"
            )
        return Part(
            name="workers",
            state="ok",
            figure=str(total),
            detail=", ".join(f"{count} {name}" for name, count in sorted(found.items())),
        )

    def _ask_workers(self) -> dict[str, int]:
        """How many processes each service's workers have. Blocking."""
        try:
            with self._broadcaster.connection_for_write() as connection:
                asked = self._broadcaster.control.inspect(timeout=_WORKERS_TIMEOUT_S, connection=connection)
                answers: dict[str, Any] = asked.stats() or {}
        except Exception:  # noqa: BLE001 - whatever kombu raises here, the answer is that nobody answered
            return {}
        found: dict[str, int] = {}
        for name, stats in answers.items():
            service = name.partition("@")[0]
            found[service] = found.get(service, 0) + len(stats.get("pool", {}).get("processes", ())) or 1
        return found

    @property
    def workers(self) -> dict[str, int]:
        """Processes per service, as last told."""
        return self._workers[1]

    def _inference(self) -> Part:
        now = self._serving.now()
        if not now["up"]:
            return Part(name="inference", state="down", figure="down", detail=str(now["error"]))
        if not any(now["live"].values()):
            return Part(name="inference", state="waiting", figure="503", detail="answers 503 until a model is live")
        return Part(name="inference", state="ok", figure=f"{now['requests'] or 0:.3g}/s")


def address_of_redis(settings: Settings) -> str:
    """The address of Redis without its password."""
    scheme, _, rest = settings.redis.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('/')[0]}"


def log_file(settings: Settings, name: str) -> str:
    """Where a part's log is, if this installation has it in a file."""
    path = os.path.join(settings.rookery_home, "logs", f"{name}.log")  # noqa: PTH118 - text for people
    return path if os.path.exists(path) else ""  # noqa: PTH110 - likewise


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 9.95 else f"{milliseconds:.0f} ms"  # noqa: PLR2004 - two digits


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
