"""Prometheus' rules and Grafana's dashboard: they parse, and name metrics that exist."""

import json
import re
from collections.abc import Iterator

import promql_parser
import pytest

from services.inference.metrics import Figures, Histogram, LiveModel, exposition
from tests.unit.deploy.files import DEPLOY, read_yaml

# Of Flower 2 (flower/events.py), redis_exporter and Prometheus itself.
FOREIGN = {
    "up",
    "redis_up",
    "redis_key_size",
    "flower_events_total",
    "flower_worker_online",
    "flower_worker_number_of_currently_executing_tasks",
}


def _ours() -> set[str]:
    """The names of the samples of a prediction process that has seen one of everything."""
    figures = Figures(
        requests={("/predict", 200): Histogram([1], 0.1)},
        batches={"m": Histogram([1], 1)},
        predictions={("m", 1, "a"): 1},
        loads={("m", "loaded"): 1},
        shadow={("m", 1, 2, "agree"): 1},
        shadow_seconds={("m", 1, 2): 0.1},
    )
    for histogram in (*figures.requests.values(), *figures.batches.values()):
        histogram.buckets = [1] + [0] * 14
    text = exposition(figures, [LiveModel("m", 1, 1.0)]).decode()
    return {line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def _rules() -> Iterator[tuple[str, str]]:
    for group in read_yaml("deploy/prometheus/alerts.yaml")["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def _panels() -> Iterator[tuple[str, str]]:
    for panel in json.loads((DEPLOY / "grafana/dashboards/rookery.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("name", "expression"), [*_rules(), *_panels()])
def test_an_expression_parses_and_names_metrics_that_exist(name: str, expression: str) -> None:
    """Each rule and panel is PromQL over metrics that something here exposes."""
    plain = expression.replace("$__rate_interval", "5m")
    promql_parser.parse(plain)
    named = set(re.findall(r"\b(?:rookery|flower|redis)_[a-z_]+|\bup\b", re.sub(r'"[^"]*"', '""', plain)))
    assert named, name
    assert named <= _ours() | FOREIGN


def test_every_alert_says_what_to_do() -> None:
    """An alert has a severity, a summary and an action."""
    for group in read_yaml("deploy/prometheus/alerts.yaml")["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert rule["annotations"].keys() == {"summary", "action"}


def test_every_target_is_a_service() -> None:
    """Prometheus asks services of the compose file, and Grafana asks Prometheus."""
    services = read_yaml("docker-compose.yaml")["services"]
    for job in read_yaml("deploy/prometheus/prometheus.yaml")["scrape_configs"]:
        assert job["static_configs"][0]["targets"][0].partition(":")[0] in services
    source = read_yaml("deploy/grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]
    assert source["url"] == "http://prometheus:9090"


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    """Each panel has an id and a place of its own, and the data source that is provisioned."""
    panels = json.loads((DEPLOY / "grafana/dashboards/rookery.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not own & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        cells |= own
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "prometheus"
