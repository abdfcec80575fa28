"""The compose file: what it starts, how, and what it shows to others."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from common.settings import Settings
from tests.unit.deploy.files import ROOT, names_in, read_yaml

ONE_SHOT = {"secrets", "migrate"}
PUBLISHED = {"api": "8000", "console": "8080", "flower": "5555", "prometheus": "9090", "grafana": "3000"}
# Of images that are not ours, or of the file itself.
FOREIGN = re.compile(r"POSTGRES_(USER|DB|PASSWORD_FILE|INITDB_ARGS)|PGDATA|GF_.*|REDIS_(ADDR|EXPORTER_.*)")
OF_COMPOSE = {
    "EXTRAS",
    "MODELS_DIR",
    "ROOKERY_UID",
    "FLOWER_PASSWORD",
    "GRAFANA_PASSWORD",
    "GRAFANA_PORT",
    "PROMETHEUS_PORT",
}


@pytest.fixture
def services() -> dict[str, Any]:
    """The services by name."""
    found: dict[str, Any] = read_yaml("docker-compose.yaml")["services"]
    return found


def test_the_expected_services_are_there(services: dict[str, Any]) -> None:
    """All parts of the system are started without a profile, and only monitoring needs one."""
    plain = {name for name, service in services.items() if "profiles" not in service}
    workers = {"beat", "ingest", "preprocess", "train"}
    assert plain == {"db", "redis", "api", "inference", "console", "flower", *ONE_SHOT, *workers}
    assert {name for name in services if name not in plain} == {"prometheus", "grafana", "redis-exporter"}


def test_every_service_that_stays_has_a_health_check_and_is_started_again(services: dict[str, Any]) -> None:
    """What runs on is checked and restarted; what ends by itself is waited for."""
    for name in services.keys() - ONE_SHOT:
        assert services[name]["healthcheck"]["test"], name
        assert services[name]["restart"] == "unless-stopped", name


def test_every_service_is_confined(services: dict[str, Any]) -> None:
    """No capabilities, a read-only root and no new privileges, everywhere; ours run as their own user."""
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        if service.get("image") == "rookery":
            assert service["user"] == "${ROOKERY_UID:-10001}:10001", name


def _ports(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, service in document["services"].items():
        for port in service.get("ports", ()):
            yield name, port


def test_only_what_people_use_is_published_and_on_loopback_alone(services: dict[str, Any]) -> None:
    """API, console and Flower (and monitoring's pages) are published on 127.0.0.1; servers only by the override."""
    ports = dict(_ports({"services": services}))
    assert {name: port.rpartition(":")[2] for name, port in ports.items()} == PUBLISHED
    override = dict(_ports(read_yaml("docker-compose.ports.yaml")))
    assert set(override) == {"db", "redis"}
    assert all(port.startswith("127.0.0.1:") for port in (*ports.values(), *override.values()))


def test_no_password_has_a_default() -> None:
    """A password comes from the environment or from the volume of random ones, and is never written in the file."""
    text = (ROOT / "docker-compose.yaml").read_text()
    for name in re.findall(r"\$\{([A-Z_]*(?:PASSWORD|KEY|KEYS|TOKEN))\b([^}]*)\}", text):
        assert name[1] == ":-", f"{name[0]} has the default {name[1]}"
    for line in re.findall(r"^ +([A-Z_]*(?:PASSWORD|_KEY|TOKEN)(?:_+FILE)?): (.*)$", text, re.MULTILINE):
        assert line[1].startswith(("/run/rookery/", "${")), line


def test_every_variable_that_a_service_gets_exists(services: dict[str, Any]) -> None:
    """Each variable is a setting, a setting's file, or one of the other images'."""
    known = {name.upper() for name in Settings.__struct_fields__} | OF_COMPOSE
    for name, service in services.items():
        for variable in service.get("environment", {}):
            fits = variable in known or variable.removesuffix("_FILE") in known or FOREIGN.fullmatch(variable)
            assert fits, f"{name}: {variable} is no setting"


def test_every_variable_of_the_file_is_in_the_example() -> None:
    """What people may set for Compose stands in .env.example."""
    text = (ROOT / ".env.example").read_text()
    used = names_in((ROOT / "docker-compose.yaml").read_text() + (ROOT / "docker-compose.ports.yaml").read_text())
    assert not {name for name in used if f"#{name}=" not in text}


def test_the_search_can_be_put_on_an_engine(services: dict[str, Any]) -> None:
    """Train is told the engine and its own processes; the image takes an extra, whose lock is named like it."""
    told = services["train"]["environment"]
    for variable in ("TRAIN_BACKEND", "DASK_ADDRESS", "TRAIN_PROCESSES"):
        assert told[variable].startswith(f"${{{variable}:-"), variable
    assert services["train"]["build"]["args"] == {"EXTRAS": "${EXTRAS:-}"}
    assert '${EXTRAS:+"/requirements/$EXTRAS.txt"}' in (ROOT / "Dockerfile").read_text()


def test_the_extra_is_locked_to_the_versions_of_the_rest() -> None:
    """What requirements/dask.txt installs beside the image is what the tests run with."""
    pins = {
        name: set(
            re.findall(r"^([a-z0-9._-]+==\S+)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE)
        )
        for name in ("dask", "all")
    }
    assert any(pin.startswith("distributed==") for pin in pins["dask"])
    assert pins["dask"] <= pins["all"]


def test_inference_reads_the_models_and_needs_no_server(services: dict[str, Any]) -> None:
    """Inference cannot write where the models are, and starts without PostgreSQL and Redis."""
    inference = services["inference"]
    assert "${MODELS_DIR:-models}:/app/shared/models:ro" in inference["volumes"]
    assert set(inference["depends_on"]) == {"secrets", "api"}
    assert not any(name.startswith("APP_DB") for name in inference["environment"])


def test_what_may_be_scaled_binds_no_port_of_the_host(services: dict[str, Any]) -> None:
    """Workers and inference publish nothing, so that any number of them may run."""
    for name in ("ingest", "preprocess", "train", "inference"):
        assert "ports" not in services[name]
        assert "container_name" not in services[name]


def test_the_image_needs_no_buildkit() -> None:
    """The Dockerfile has no syntax that the classic builder does not know, and installs by hash."""
    text = (ROOT / "Dockerfile").read_text()
    for word in ("--mount", "<<", "--link", "--chmod", "# syntax"):
        assert word not in text
    assert text.count("--require-hashes") == 2
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)


def test_what_the_image_copies_reaches_the_builder() -> None:
    """Each path that the Dockerfile copies from the project exists and is let through by .dockerignore."""
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        for path in line.split()[:-1]:
            assert (ROOT / path).exists(), path
            assert path in let_through, path
