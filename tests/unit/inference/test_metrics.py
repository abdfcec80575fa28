"""Counts of several processes, added up."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from services.inference.metrics import Figures, LiveModel, Metrics, MetricsFolder, exposition


def test_processes_add_up(tmp_path: Path) -> None:
    """What each process left is in the sum, also that of one that has ended."""
    processes = [Metrics() for _ in range(3)]
    for number, metrics in enumerate(processes, start=1):
        metrics.request("/predict", 200, 0.002 * number)
        metrics.batch("m", number)
        metrics.predicted("m", 1, "a", number)
        metrics.load("m", "loaded")
        metrics.shadowed(("m", 1, 2), number, 1, 0.5)
        MetricsFolder(tmp_path, str(number)).leave(metrics.figures)
    total = Figures()
    total.add(processes[0].figures)
    for figures in MetricsFolder(tmp_path, "1").others():
        total.add(figures)
    assert sum(total.requests["/predict", 200].buckets) == 3
    assert total.predictions == {("m", 1, "a"): 6}
    assert total.loads == {("m", "loaded"): 3}
    assert total.shadow == {("m", 1, 2, "agree"): 6, ("m", 1, 2, "differ"): 3}
    assert total.batches["m"].sum == 6
    assert sum(processes[0].figures.requests["/predict", 200].buckets) == 1


def test_buckets_are_cumulative() -> None:
    """Prometheus's buckets hold all observations below their bound, and the last one all."""
    metrics = Metrics()
    for seconds in (0.0004, 0.0005, 0.02, 100.0):
        metrics.request("/predict", 200, seconds)
    text = exposition(metrics.figures, [LiveModel("m", 3, 60.0)]).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    buckets = {
        sample.labels["le"]: sample.value
        for sample in families["rookery_request_duration_seconds"].samples
        if sample.name.endswith("_bucket")
    }
    assert (buckets["0.0005"], buckets["0.025"], buckets["10.0"], buckets["+Inf"]) == (2, 3, 3, 4)
    assert families["rookery_model_age_seconds"].samples[0].value == 60.0
