"""What the serving process imports at its start."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
HEAVY = ("pandas", "sklearn", "scipy", "celery", "kombu", "sqlalchemy", "joblib", "seaborn", "matplotlib", "pyarrow")


def test_nothing_heavy_is_imported() -> None:
    """Starting it imports no pandas, scikit-learn, celery, sqlalchemy or the like."""
    code = "import sys, services.inference.main; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert not imported & set(HEAVY)
    assert {"aiohttp", "uvloop", "msgspec", "numpy"} <= imported
