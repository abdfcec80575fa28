"""The files that ship the system, read once per test."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"


def read_yaml(path: str) -> Any:
    """One document."""
    return yaml.safe_load((ROOT / path).read_text())


def manifests() -> list[dict[str, Any]]:
    """The documents of the Kubernetes manifests."""
    return [
        document
        for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if document
    ]


def names_in(text: str) -> set[str]:
    """The variables that a compose file takes from the environment."""
    return set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text))
