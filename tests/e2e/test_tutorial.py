"""The tutorial, done: its commands in their order, in a running stack."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local.servers import SYSTEM_FOLDER, instance_name
from tests.e2e.stacks import PROGRAM, ROOT, Running, copy_shared

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

TUTORIAL = ROOT / "docs" / "tutorial.md"
# Blocks of the shell are commands; what they print stands indented below them.
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Running]:
    """A running stack with the penguins alone."""
    copy_shared(tmp_path)
    running = Running(tmp_path)
    running.wait_up()
    yield running
    running.process.terminate()
    running.process.wait(timeout=30)
    shutil.rmtree(SYSTEM_FOLDER / instance_name(running.home), ignore_errors=True)


def test_the_tutorial_does_what_it_says(stack: Running) -> None:
    """Every command of the tutorial ends well, and what they print says what the tutorial shows."""
    environment = stack.environment | {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    printed = ""
    for block in BLOCK.findall(TUTORIAL.read_text(encoding="utf-8")):
        done = subprocess.run(
            ["bash", "-euc", block.replace("127.0.0.1:8000", f"127.0.0.1:{environment['INFERENCE_PORT']}")],
            cwd=stack.folder, env=environment, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, block + done.stdout + done.stderr
        printed += done.stdout
    for said in (
        "shared/datasets/wine.toml says what was found in shared/data/wine.csv.",
        "178 rows answered by wine.random_forest, version 1: wine.predictions.csv",
        '"predictions":["Barolo"]',
        "RandomForestClassifier",
        "168 rows, snapshot 2",
        "wine.random_forest: version 1 is live, pinned: later versions wait",
        "the harvest was not complete",
    ):
        assert said in printed, printed
    assert re.search(r"count *\n-+\n +168\n", printed)
