"""The Kubernetes manifests."""

from typing import Any

import kubernetes_validate
import pytest

from common.settings import Settings
from tests.unit.deploy.files import manifests

KUBERNETES = "1.34"
SCHEMALESS = ("keda.sh/", "kustomize.config.k8s.io/")
RUNNING = {"Deployment", "StatefulSet"}


def _name(document: dict[str, Any]) -> str:
    return f"{document['kind']} {document.get('metadata', {}).get('name', '')}"


def _pods() -> list[tuple[str, dict[str, Any]]]:
    return [(_name(one), one["spec"]["template"]["spec"]) for one in manifests() if one["kind"] in {*RUNNING, "Job"}]


@pytest.mark.parametrize(
    "document", [one for one in manifests() if not one["apiVersion"].startswith(SCHEMALESS)], ids=_name
)
def test_a_manifest_fits_its_schema(document: dict[str, Any]) -> None:
    """Each manifest is valid by Kubernetes' own schema, without a field that it does not know."""
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_every_container_is_confined_and_asks_for_resources() -> None:
    """Non-root, no capabilities, a read-only root, a request for processor and memory, a limit of memory."""
    for name, pod in _pods():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["enableServiceLinks"] is False, name
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert container["securityContext"]["capabilities"]["drop"] == ["ALL"], name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name


def test_what_runs_on_has_probes() -> None:
    """Whatever stays says whether it is ready and whether it lives."""
    for one in manifests():
        if one["kind"] in RUNNING:
            for container in one["spec"]["template"]["spec"]["containers"]:
                assert {"readinessProbe", "livenessProbe"} <= container.keys(), _name(one)


def test_every_volume_that_is_mounted_exists() -> None:
    """Mounts name volumes of their pod or claims of their set, and every volume is mounted."""
    for one in manifests():
        if one["kind"] not in {*RUNNING, "Job"}:
            continue
        pod = one["spec"]["template"]["spec"]
        claims = {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", ())}
        volumes = {volume["name"] for volume in pod["volumes"]} | claims
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes, _name(one)


def test_every_setting_exists() -> None:
    """The ConfigMap holds settings of ours."""
    known = {name.upper() for name in Settings.__struct_fields__}
    (settings,) = [one for one in manifests() if one["kind"] == "ConfigMap"]
    assert {name.removesuffix("_FILE") if name != "READY_FILE" else name for name in settings["data"]} <= known


def test_services_and_scalers_name_what_exists() -> None:
    """Selectors, scalers and budgets point at a Deployment or StatefulSet."""
    there = {one["metadata"]["name"] for one in manifests() if one["kind"] in RUNNING}
    for one in manifests():
        spec = one.get("spec", {})
        if one["kind"] == "Service":
            assert spec["selector"]["app"] in there
        if one["kind"] == "PodDisruptionBudget":
            assert spec["selector"]["matchLabels"]["app"] in there
        if one["kind"] in {"ScaledObject", "HorizontalPodAutoscaler"}:
            assert spec["scaleTargetRef"]["name"] in there


def test_train_is_scaled_by_its_queue() -> None:
    """KEDA looks at the queue that the train worker reads."""
    (scaled,) = [one for one in manifests() if one["kind"] == "ScaledObject"]
    assert scaled["spec"]["triggers"][0]["metadata"]["listName"] == "rookery.train"
    assert {"minReplicaCount", "maxReplicaCount", "cooldownPeriod"} <= scaled["spec"].keys()
