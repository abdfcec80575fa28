"""The stack on a PostgreSQL and a Redis that were there before it: it uses them, and leaves them running."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psycopg
import pytest
import redis as redis_client

from services.local.home import Home
from tests.e2e.stacks import Running, copy_shared
from tests.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# Twenty thousand rows and two hundred candidates: half a minute of work for two processes.
GRID = f"""
target = "kind"
task = "classification"
[source]
kind = "csv"
path = "grid.csv"
[features]
numeric = ["x0", "x1", "x2"]
[schedule]
interval_s = 1
[families.tree]
estimator = "sklearn.tree.DecisionTreeClassifier"
grid = {{ max_depth = {list(range(3, 13))}, min_samples_leaf = {list(range(5, 205, 10))} }}
"""


@pytest.fixture
def stack(tmp_path: Path, database_url: str, redis: str) -> Iterator[Running]:
    """A running stack on the servers of this test; ended by force if it has not."""
    _empty(database_url)
    copy_shared(tmp_path)
    running = Running(tmp_path, DATABASE_URL=database_url, REDIS_URL=redis)
    yield running
    if running.process.poll() is None:
        running.process.terminate()
        running.process.wait(timeout=30)


def _empty(database_url: str) -> None:
    """Makes the database one that Rookery has never seen."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS rookery, snapshots CASCADE")
        connection.execute("DROP TABLE IF EXISTS public.alembic_version")


def _add_grid(shared: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(20_000, 3)).round(4)
    kinds = np.array(["a", "b", "c"])[np.digitize(matrix[:, 0] * matrix[:, 1] + rng.normal(size=20_000), [-0.5, 0.5])]
    rows = [",".join(map(str, numbers)) + f",{kind}" for numbers, kind in zip(matrix.tolist(), kinds, strict=True)]
    (shared / "data" / "grid.csv").write_text("\n".join(["x0,x1,x2,kind", *rows]) + "\n")
    (shared / "datasets" / "grid.toml").write_text(GRID)


def _under_way(database_url: str) -> int:
    """How many trainings of the grid hold a lease."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM rookery.events WHERE dataset = 'grid' AND type = 'training.requested'"
            " AND handled_at IS NULL AND claimed_until > now()"
        ).fetchone()
    return row[0] if row else 0


def test_given_servers_are_used_and_left_running(stack: Running, database_url: str, redis: str) -> None:
    """Neither is started nor ended; the lines to paste work without a password in them.

    A stack that is asked to end amid a long fit has ended in under ten seconds, and the next one, told of the same
    database by APP_DB_*, completes it.
    """
    text = stack.wait_up()
    assert "PostgreSQL: the one that was given" in text
    assert "Redis: the one that was given" in text
    assert re.search(r"answers +(Adelie|Chinstrap|Gentoo)", text)
    assert not {"postgres", "redis"} & stack.pids().keys()
    parts = urlsplit(database_url)
    for shown in (text, " ".join(word for process in stack.members() for word in process.cmdline())):
        assert str(parts.password) not in shown
    assert "344" in stack.rookery("psql", "-c", "SELECT count(*) FROM penguins")
    assert "run.completed" in stack.rookery("redis", "XREVRANGE", "rookery:events", "+", "-", "COUNT", "50")
    addresses = Home.at(stack.home).read_addresses()
    assert addresses is not None
    assert (addresses.postgres, addresses.redis) == ("existing", "existing")

    _add_grid(stack.folder / "shared")
    wait_until(lambda: _under_way(database_url) == 2, seconds=60, what="a fit")
    began = time.monotonic()
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(timeout=30) == 0
    assert time.monotonic() - began < 10
    with psycopg.connect(database_url) as connection, redis_client.Redis.from_url(redis) as client:
        assert connection.execute("SELECT count(*) FROM penguins").fetchone() == (344,)
        assert client.ping()

    del stack.environment["DATABASE_URL"]
    stack.environment |= {
        "APP_DB_HOST": str(parts.hostname),
        "APP_DB_PORT": str(parts.port),
        "APP_DB_NAME": parts.path.lstrip("/"),
        "APP_DB_USER": str(parts.username),
        "APP_DB_PASSWORD": str(parts.password),
    }
    stack.start_again()
    wait_until(
        lambda: "Ctrl-C stops everything" in stack.output.read_text() and "grid.tree" in stack.ready(),
        seconds=90,
        what="the model of the fit that was cut off",
    )
    assert "no dead letters" in stack.rookery("events", "dead")
    stack.rookery("down")
    assert stack.process.wait(timeout=10) == 0
