"""What inference says of itself: its models and its figures, sampled for an hour and kept in memory."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession
from prometheus_client.parser import text_string_to_metric_families

from common.tasks import end_tasks

SAMPLE_S = 5.0
KEPT = 720
_LATENCY = "rookery_request_duration_seconds"
_ROUTES = ("/predict", "/predict/compare", "/v2")
_OK = range(200, 300)


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The counters at one moment: records answered per model; requests to predict and how long they took."""

    at: float
    records: dict[str, float]
    requests: float
    failed: float
    buckets: list[tuple[float, float]]
    shadow: dict[str, dict[str, float]] = {}


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What happened between two moments; latencies in ms, None where nothing was asked."""

    at: float
    records: dict[str, float]
    requests: float
    failed: float
    p50: float | None
    p99: float | None


class Serving:
    """Asks inference every few seconds. `models` is its last `/models`, whatever has happened since."""

    def __init__(self, session: ClientSession, clock: Callable[[], float]) -> None:
        """Takes a session whose base is inference's address."""
        self._session = session
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._last: Counts | None = None
        self._heard = asyncio.Condition()
        self.models: dict[str, Any] = {"models": [], "default": None}
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self.error = "not asked yet"
        self.down_since: float | None = None

    def start(self) -> None:
        """Begins to ask."""
        self._task = asyncio.create_task(self._run(), name="serving")

    async def close(self) -> None:
        """Ends asking."""
        if self._task is not None:
            await end_tasks([self._task])

    async def ask_once(self) -> None:
        """Asks for models and figures once."""
        try:
            async with self._session.get("/models") as answer:
                models = msgspec.json.decode(await answer.read(), type=dict[str, Any])
            async with self._session.get("/metrics") as answer:
                counts = parse(await answer.text(), self._clock())
        except (ClientError, OSError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
            self.error = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self.down_since = self.down_since or self._clock()
            self._last = None
        else:
            self.models, self.error, self.down_since = models, "", None
            if self._last is not None:
                self.samples.append(difference(self._last, counts))
            self._last = counts
        async with self._heard:
            self._heard.notify_all()

    async def wait(self) -> None:
        """Returns after the next answer, or failure to get one."""
        async with self._heard:
            await self._heard.wait()

    def now(self) -> dict[str, Any]:
        """The last sample, for the page: rates a second and latencies in ms."""
        last = self.samples[-1] if self.samples else None
        return {
            "up": not self.error,
            "error": self.error,
            "down_since": self.down_since,
            "at": last.at if last else None,
            "requests": last.requests if last else None,
            "failed": last.failed if last else None,
            "p50": last.p50 if last else None,
            "p99": last.p99 if last else None,
            "records": last.records if last else {},
            "live": {model["name"]: model.get("version") for model in self.models.get("models", [])},
            "loading": [
                {"model": model["name"], "version": version["version"]}
                for model in self.models.get("models", [])
                for version in model.get("versions", [])
                if version["state"] in {"new", "loading"}
            ],
            "errors": {model["name"]: model["error"] for model in self.models.get("models", []) if model.get("error")},
            "shadow": self._last.shadow if self._last else {},
        }

    def series(self, model: str | None = None, *, points: int = 120) -> dict[str, list[float | None]]:
        """The hour as columns: times, rates (of a model, or requests of all), latencies."""
        samples = thin(list(self.samples), points)
        return {
            "at": [sample.at for sample in samples],
            "rate": [sample.requests if model is None else sample.records.get(model, 0.0) for sample in samples],
            "p50": [sample.p50 for sample in samples],
            "p99": [sample.p99 for sample in samples],
        }

    async def _run(self) -> None:
        while True:
            await self.ask_once()
            await asyncio.sleep(SAMPLE_S)


def parse(text: str, at: float) -> Counts:
    """Reads the counters from Prometheus' text format."""
    records: dict[str, float] = {}
    requests = failed = 0.0
    buckets: dict[float, float] = {}
    shadow: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == "rookery_predictions_total":
                records[labels["model"]] = records.get(labels["model"], 0.0) + sample.value
            elif sample.name == "rookery_shadow_records_total":
                counts = shadow.setdefault(f"{labels['model']}@{labels['candidate']}", {})
                counts[labels["outcome"]] = counts.get(labels["outcome"], 0.0) + sample.value
            elif sample.name == f"{_LATENCY}_count" and labels["route"].startswith(_ROUTES):
                requests += sample.value
                failed += sample.value if int(labels["status"]) not in _OK else 0.0
            elif sample.name == f"{_LATENCY}_bucket" and labels["route"].startswith(_ROUTES):
                bound = float(labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + sample.value
    return Counts(
        at=at, records=records, requests=requests, failed=failed, buckets=sorted(buckets.items()), shadow=shadow
    )


def difference(before: Counts, after: Counts) -> Sample:
    """What happened between two moments. A counter that fell began anew: its process was started again."""
    seconds = max(after.at - before.at, 1e-3)
    anew = after.requests < before.requests or len(before.buckets) != len(after.buckets)
    earlier = {} if anew else before.records
    grown = [
        (bound, count - (0.0 if anew else old))
        for (bound, count), old in zip(after.buckets, _counts(before, len(after.buckets)), strict=True)
    ]
    return Sample(
        at=round(after.at, 3),
        records={
            model: round(max(0.0, count - earlier.get(model, 0.0)) / seconds, 3)
            for model, count in after.records.items()
        },
        requests=round((after.requests - (0.0 if anew else before.requests)) / seconds, 3),
        failed=round(max(0.0, after.failed - (0.0 if anew else before.failed)) / seconds, 3),
        p50=quantile(grown, 0.5),
        p99=quantile(grown, 0.99),
    )


def _counts(counts: Counts, length: int) -> list[float]:
    values = [count for _, count in counts.buckets]
    return values if len(values) == length else [0.0] * length


def quantile(buckets: Sequence[tuple[float, float]], q: float) -> float | None:
    """A quantile in ms from cumulative buckets, between two bounds as if evenly spread; None without observations.

    As Prometheus' `histogram_quantile` (https://prometheus.io/docs/prometheus/latest/querying/functions/).
    """
    total = buckets[-1][1] if buckets else 0.0
    if total <= 0:
        return None
    rank, lower, below = q * total, 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if bound == float("inf"):
                return round(lower * 1000, 3)
            share = (rank - below) / (count - below) if count > below else 1.0
            return round((lower + (bound - lower) * share) * 1000, 3)
        lower, below = bound, count
    return round(lower * 1000, 3)


def thin(samples: list[Sample], points: int) -> list[Sample]:
    """At most so many samples, evenly chosen, the last one among them."""
    if len(samples) <= points:
        return samples
    step = len(samples) / points
    return [samples[min(len(samples) - 1, int((number + 1) * step) - 1)] for number in range(points)]
