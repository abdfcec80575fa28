"""What the documentation says of the code."""

import subprocess
import sys
from pathlib import Path

from bench.pipeline import table

ROOT = Path(__file__).parents[2]


def test_the_pages_made_from_the_code_are_current() -> None:
    """docs/settings.md and docs/events.md say what the code says."""
    done = subprocess.run(
        [sys.executable, "scripts/make_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_table_of_the_benches_is_that_of_their_results() -> None:
    """docs/pipeline.md shows the figures that lie in bench/results/, and no others."""
    shown = table.PAGE.read_text().partition(table.BEGIN)[2].partition(table.END)[0]
    assert shown.strip() == table.markdown().strip()
