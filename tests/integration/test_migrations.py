"""The migrations give the tables that the code expects."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from common.settings import Settings

ROOT = Path(__file__).parents[2]


def alembic(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of Alembic against the test's database."""
    return subprocess.run(
        [sys.executable, "-m", "alembic", *words],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": settings.database_url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_migrations_make_what_the_code_expects(postgres: Settings) -> None:
    """After `upgrade head` no difference is left between the database and common/database/tables.py."""
    done = alembic(postgres, "check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_migrations_can_be_taken_back(postgres: Settings) -> None:
    """Down and up again ends where it began."""
    for words in (("downgrade", "base"), ("upgrade", "head"), ("check",)):
        done = alembic(postgres, *words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_names_without_schema_are_the_data_sets(postgres: Settings) -> None:
    """A data set may be called `events`: the name alone does not mean our table."""
    done = alembic(postgres, "downgrade", "0001")
    assert done.returncode == 0, done.stderr
    done = alembic(postgres, "upgrade", "head")
    assert done.returncode == 0, done.stderr
    with psycopg.connect(postgres.database("")) as connection:
        assert connection.execute("SELECT to_regclass('events')").fetchone() == (None,)
        assert connection.execute("SELECT current_schema()").fetchone() == ("public",)
