"""What happened, counted: plain numbers on the hot path, Prometheus' families when somebody asks.

prometheus-client's own multi-process files cost several microseconds per count. Here a process counts in a struct;
where several share a port, each leaves its struct in a folder every second, and whichever is asked adds all of them up.
The counts of a process that ended stay in the folder, so no counter ever falls.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest

LATENCY_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536)


# Model, live version, candidate's version.
ShadowPair = tuple[str, int, int]


class Histogram(msgspec.Struct):
    """Counts per bucket (the last one is beyond all bounds) and the sum of what was observed."""

    buckets: list[int]
    sum: float = 0.0

    def add(self, other: "Histogram") -> None:
        """Adds another one's counts."""
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.sum += other.sum


class Figures(msgspec.Struct):
    """The counts of one process."""

    requests: dict[tuple[str, int], Histogram] = {}
    batches: dict[str, Histogram] = {}
    predictions: dict[tuple[str, int, str], int] = {}
    loads: dict[tuple[str, str], int] = {}
    shadow: dict[tuple[str, int, int, str], int] = {}
    shadow_seconds: dict[ShadowPair, float] = {}
    shed: int = 0
    waiting_records: int = 0
    under_way: int = 0

    def add(self, other: "Figures") -> None:
        """Adds another process's counts."""
        for mine, theirs in ((self.requests, other.requests), (self.batches, other.batches)):
            _add_histograms(mine, theirs)
        for counts, more in (
            (self.predictions, other.predictions),
            (self.loads, other.loads),
            (self.shadow, other.shadow),
            (self.shadow_seconds, other.shadow_seconds),
        ):
            _add_counts(counts, more)
        self.shed += other.shed
        self.waiting_records += other.waiting_records
        self.under_way += other.under_way


class Metrics:
    """Counts what a process does."""

    def __init__(self) -> None:
        """Begins at zero."""
        self.figures = Figures()

    def request(self, route: str, status: int, seconds: float) -> None:
        """Counts an answered request."""
        key = (route, status)
        histogram = self.figures.requests.get(key)
        if histogram is None:
            histogram = self.figures.requests[key] = Histogram([0] * (len(LATENCY_BOUNDS_S) + 1))
        histogram.buckets[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        histogram.sum += seconds

    def batch(self, model: str, records: int) -> None:
        """Counts a call of a model."""
        histogram = self.figures.batches.get(model)
        if histogram is None:
            histogram = self.figures.batches[model] = Histogram([0] * (len(BATCH_BOUNDS) + 1))
        histogram.buckets[bisect_left(BATCH_BOUNDS, records)] += 1
        histogram.sum += records

    def predicted(self, model: str, version: int, label: object, count: int) -> None:
        """Counts answers of one class."""
        key = (model, version, str(label))
        counts = self.figures.predictions
        counts[key] = counts.get(key, 0) + count

    def load(self, model: str, outcome: str) -> None:
        """Counts a load; the outcome is `loaded` or `rejected`."""
        key = (model, outcome)
        self.figures.loads[key] = self.figures.loads.get(key, 0) + 1

    def shadowed(self, pair: ShadowPair, agreed: int, differed: int, seconds: float) -> None:
        """Counts records that a candidate answered unseen beside the live version."""
        for outcome, count in (("agree", agreed), ("differ", differed)):
            key = (*pair, outcome)
            self.figures.shadow[key] = self.figures.shadow.get(key, 0) + count
        spent = self.figures.shadow_seconds
        spent[pair] = spent.get(pair, 0.0) + seconds

    def shadow_skipped(self, pair: ShadowPair, count: int) -> None:
        """Counts records that a candidate was to answer, had it not been busy."""
        key = (*pair, "skipped")
        self.figures.shadow[key] = self.figures.shadow.get(key, 0) + count


class LiveModel(msgspec.Struct, frozen=True):
    """What the gauges say of a live model."""

    model: str
    version: int
    age_s: float


class MetricsFolder:
    """Where processes that share a port leave their counts for each other."""

    def __init__(self, folder: Path, name: str) -> None:
        """Takes the folder and this process's name in it, never used twice."""
        self._folder = folder
        self._file = folder / f"{name}.figures"

    def leave(self, figures: Figures) -> None:
        """Writes this process's counts."""
        temporary = self._file.with_suffix(".tmp")
        temporary.write_bytes(msgspec.msgpack.encode(figures))
        temporary.replace(self._file)

    def others(self) -> Iterator[Figures]:
        """The counts that the others left."""
        for path in self._folder.glob("*.figures"):
            if path != self._file:
                yield msgspec.msgpack.decode(path.read_bytes(), type=Figures)


def exposition(figures: Figures, live: Iterable[LiveModel]) -> bytes:
    """The counts in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Families(list(_families(figures, live))))
    return generate_latest(registry)


class _Families:
    """What prometheus-client calls a collector."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _families(figures: Figures, live: Iterable[LiveModel]) -> Iterator[Metric]:
    yield from _of_requests(figures)
    yield from _of_models(figures)
    yield from _of_shadow(figures)
    age = GaugeMetricFamily("rookery_model_age_seconds", "Time since the live version was trained.", labels=["model"])
    version = GaugeMetricFamily("rookery_model_version", "The live version.", labels=["model"])
    for one in live:
        age.add_metric([one.model], one.age_s)
        version.add_metric([one.model], one.version)
    yield age
    yield version


def _of_requests(figures: Figures) -> Iterator[Metric]:
    latency = HistogramMetricFamily(
        "rookery_request_duration_seconds", "Time from a request's head to its answer.", labels=["route", "status"]
    )
    requests = CounterMetricFamily("rookery_requests", "Requests answered.", labels=["route", "status"])
    for (route, status), histogram in sorted(figures.requests.items()):
        labels = [route, str(status)]
        requests.add_metric(labels, sum(histogram.buckets))
        latency.add_metric(labels, _cumulative(histogram, LATENCY_BOUNDS_S), histogram.sum)
    yield requests
    yield latency
    shed = CounterMetricFamily("rookery_requests_shed", "Requests refused because too many waited.")
    shed.add_metric([], figures.shed)
    yield shed
    waiting = GaugeMetricFamily("rookery_queue_records", "Records that wait for a call of a model.")
    waiting.add_metric([], figures.waiting_records)
    yield waiting
    under_way = GaugeMetricFamily("rookery_requests_in_progress", "Requests under way.")
    under_way.add_metric([], figures.under_way)
    yield under_way


def _of_models(figures: Figures) -> Iterator[Metric]:
    batches = HistogramMetricFamily("rookery_batch_size_records", "Records per call of a model.", labels=["model"])
    for model, histogram in sorted(figures.batches.items()):
        batches.add_metric([model], _cumulative(histogram, BATCH_BOUNDS), histogram.sum)
    yield batches
    predictions = CounterMetricFamily(
        "rookery_predictions", "Records answered, by class.", labels=["model", "version", "class"]
    )
    for (model, version, label), count in sorted(figures.predictions.items()):
        predictions.add_metric([model, str(version), label], count)
    yield predictions
    loads = CounterMetricFamily("rookery_model_loads", "Versions loaded or rejected.", labels=["model", "outcome"])
    for (model, outcome), count in sorted(figures.loads.items()):
        loads.add_metric([model, outcome], count)
    yield loads


def _of_shadow(figures: Figures) -> Iterator[Metric]:
    compared = CounterMetricFamily(
        "rookery_shadow_records",
        "Records shown to a candidate unseen: it agreed with the live version, differed, or was busy and skipped them.",
        labels=["model", "version", "candidate", "outcome"],
    )
    for (model, live, candidate, outcome), count in sorted(figures.shadow.items()):
        compared.add_metric([model, str(live), str(candidate), outcome], count)
    yield compared
    spent = CounterMetricFamily(
        "rookery_shadow_duration_seconds", "Time that candidates took.", labels=["model", "version", "candidate"]
    )
    for (model, live, candidate), seconds in sorted(figures.shadow_seconds.items()):
        spent.add_metric([model, str(live), str(candidate)], seconds)
    yield spent


def _cumulative(histogram: Histogram, bounds: Iterable[float]) -> list[tuple[str, float]]:
    """Buckets as Prometheus wants them: each holds all below its bound."""
    total = 0
    rows = []
    for bound, count in zip((*map(float, bounds), float("inf")), histogram.buckets, strict=True):
        total += count
        rows.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return rows


def _add_histograms(mine: dict, theirs: dict) -> None:  # type: ignore[type-arg] # the keys differ between the tables
    for key, histogram in theirs.items():
        if key in mine:
            mine[key].add(histogram)
        else:
            mine[key] = Histogram(list(histogram.buckets), histogram.sum)


def _add_counts(mine: dict, theirs: dict) -> None:  # type: ignore[type-arg] # likewise
    for key, count in theirs.items():
        mine[key] = mine.get(key, 0) + count
