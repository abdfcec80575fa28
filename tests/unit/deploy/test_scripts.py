"""The two shell scripts of the image."""

import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.unit.deploy.files import DEPLOY

SECRETS = {"database_password", "redis_password", "signing_key", "flower_password", "grafana_password"}


def _make(folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [DEPLOY / "make-secrets", folder],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_secrets_are_random_and_for_owner_and_group_alone(tmp_path: Path) -> None:
    """Each secret is made, none twice the same, and nobody else may read it."""
    _make(tmp_path)
    values = {path.name: path.read_text().strip() for path in tmp_path.iterdir() if path.name != "redis.conf"}
    assert values.keys() == SECRETS
    assert len(set(values.values())) == len(SECRETS)
    assert all(len(value) >= 24 for value in values.values())
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o440}


def test_a_second_call_changes_nothing(tmp_path: Path) -> None:
    """Secrets are made once: a second `up` finds the same."""
    _make(tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert _make(tmp_path) == ""
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_what_is_set_is_used(tmp_path: Path) -> None:
    """A value of the environment takes the place of a random one, also later."""
    _make(tmp_path)
    said = _make(tmp_path, REDIS_PASSWORD="chosen")
    assert said == "redis_password: taken from the environment\n"
    assert (tmp_path / "redis_password").read_text() == "chosen\n"
    assert 'requirepass "chosen"' in (tmp_path / "redis.conf").read_text()


def _fresh(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([DEPLOY / "fresh", *map(str, words)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("age_s", "code"), [(0, 0), (20, 0), (40, 1)])
def test_health_is_the_age_of_a_file(tmp_path: Path, age_s: int, code: int) -> None:
    """A file touched within the given seconds is healthy, an older one is not."""
    file = tmp_path / "ready"
    file.touch()
    os.utime(file, (time.time() - age_s,) * 2)
    assert _fresh(file, 30).returncode == code


def test_a_file_that_is_not_there_is_not_healthy_and_ends_nothing(tmp_path: Path) -> None:
    """A process that has not started yet is given its time."""
    assert _fresh(tmp_path / "ready", 30, 60).returncode == 1
