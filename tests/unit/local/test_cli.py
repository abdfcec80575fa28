"""The `rookery` command."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = {"pandas", "sklearn", "celery", "sqlalchemy", "psycopg", "aiohttp", "redis", "numpy"}


def _rookery(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    program = Path(sys.executable).parent / "rookery"
    return subprocess.run(
        [program, *words], cwd=cwd, env=plain | environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_is_quick(tmp_path: Path) -> None:
    """`rookery --help` answers in under half a second."""
    best = float("inf")
    for _ in range(3):
        began = time.monotonic()
        assert _rookery("--help", cwd=tmp_path).returncode == 0
        best = min(best, time.monotonic() - began)
    assert best < 0.5


def test_help_imports_nothing_heavy() -> None:
    """What a command needs is imported when it is called."""
    code = "import sys, json, services.local.cli; print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"REDIS_PORT": "many"}, "rookery: REDIS_PORT: Expected `int`, got `str`, but it holds 'many'"),
        ({"DATABASE_URL": "mysql://h/d"}, "rookery: DATABASE_URL: begins with 'mysql', expected postgresql://"),
        (
            {"DATABASE_URL_FILE": "/nowhere"},
            "rookery: DATABASE_URL_FILE: cannot read '/nowhere': No such file or directory",
        ),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, environment: dict[str, str], line: str) -> None:
    """The line names the variable and what is wrong with it; no trace, exit code 1."""
    done = _rookery("up", cwd=tmp_path, **environment)
    assert done.stderr.splitlines() == [line]
    assert done.returncode == 1


def test_commands_without_a_stack_say_so(tmp_path: Path) -> None:
    """Where nothing runs: one line, exit code 1, and nothing is made."""
    for words in (["down"], ["runs"], ["events"], ["predict", __file__]):
        done = _rookery(*words, cwd=tmp_path)
        assert done.returncode == 1, words
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith("rookery: ")
    assert not list(tmp_path.iterdir())


def test_status_without_a_stack_is_told_by_its_exit_code(tmp_path: Path) -> None:
    """Scripts can ask whether a stack runs."""
    done = _rookery("status", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["running"] is False


def test_all_settings_are_in_the_example() -> None:
    """`.env.example` names every setting that people set."""
    from common.settings import Settings

    text = (Path(__file__).parents[3] / ".env.example").read_text()
    missing = [name for name in Settings.__struct_fields__ if f"#{name.upper()}=" not in text and name != "ready_file"]
    assert not missing
