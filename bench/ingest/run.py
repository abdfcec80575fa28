"""Rows per second and memory of ingest and preprocess, with a reader beside them, and a training on many rows.

`python -m bench.ingest.run [ROWS] [csv|parquet|both]` starts a PostgreSQL of its own, as the stack does, makes
penguin-like rows, and prints a table; figures go to `bench/results/ingest-FORMAT-ROWS.json`. Each side is timed alone.
Then the files change, and the same work is done again while a reader wants the tables: an answer that is empty, partial
or mixed fails the bench.
"""

import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench.folders import bench_folder
from bench.ingest.reader import reading
from bench.ingest.rows import KINDS, make_files
from bench.ingest.sides import bare_copy, bare_ctas, drop, to_sql
from common.settings import Settings
from services.local.servers import Postgres, free_port, postgres_binaries, server_account
from tests.specs import PENGUINS
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results"
PASSWORD = "of-a-bench"  # noqa: S105 - of a server that lives as long as the bench
TO_SQL_ROWS = 1_000_000
MORE_ROWS = 1_000
SGD = """
[families.{name}]
estimator = "sklearn.linear_model.SGDClassifier"
params = {{ loss = "log_loss", average = true }}
grid = {{ alpha = [0.0001, 0.001] }}
scale = true
{more}
"""
FAMILIES = SGD.format(name="sample", more="") + SGD.format(name="chunks", more="chunk_rows = 100_000")


@contextmanager
def database(folder: Path) -> Iterator[str]:
    """A PostgreSQL with our schema, gone afterwards; its address."""
    account = server_account()
    server = Postgres(
        binaries=postgres_binaries(account),
        data=folder / "postgres",
        sockets=folder / "sockets",
        port=free_port(0),
        account=account,
    )
    server.prepare(PASSWORD)
    command = server.command()
    child = subprocess.Popen(command.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **command.options())
    try:
        url = server.url(PASSWORD, "postgres")
        env = os.environ | {"DATABASE_URL": url}
        migrate = [sys.executable, "-m", "alembic", "upgrade", "head"]
        wait_until(
            lambda: subprocess.run(migrate, cwd=ROOT, env=env, check=False, capture_output=True).returncode == 0,
            seconds=60,
            what="the database",
        )
        yield url
    finally:
        child.terminate()
        child.wait()


def add_dataset(shared: Path, name: str, kind: str) -> None:
    """A data set of its own, so that all its rows are new."""
    source = f'[source]\nkind = "{kind}"\npath = "rows*.{kind}"\n'
    head, features = PENGUINS.partition("[source]")[0], PENGUINS.partition("[features]")[2]
    head = head.replace('default_model = "random_forest"', 'default_model = "sample"').replace("default = true", "")
    text = head + source + "[features]" + features.partition("[families.")[0] + FAMILIES
    (shared / "datasets" / f"{name}.toml").write_text(text)


def child(settings: Settings, *words: str) -> dict[str, Any]:
    """What `bench.ingest.ours` finds."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.ingest.ours", *words],
        cwd=ROOT,
        env=os.environ | {"BENCH_SETTINGS": msgspec.json.encode(settings).decode(), "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure_sides(url: str, file: Path, rows: int, rounds: int) -> dict[str, float]:
    """The contenders; of several rounds the fastest."""
    sample = min(rows, TO_SQL_ROWS)
    found = {
        "copy_s": min(asyncio.run(bare_copy(url, file)) for _ in range(rounds)),
        "ctas_s": min(asyncio.run(bare_ctas(url, parallel=False)) for _ in range(rounds)),
        "ctas_parallel_s": min(asyncio.run(bare_ctas(url, parallel=True)) for _ in range(rounds)),
        "to_sql_rows": sample,
        "to_sql_rows_per_s": to_sql(url, file, sample),
    }
    asyncio.run(drop(url))
    return found


def measure_ours(settings: Settings, shared: Path, kind: str, rounds: int) -> tuple[str, dict[str, Any]]:
    """Rounds alone, each with a data set of its own; the last one's name, the least times and the most memory."""
    found = []
    for number in range(1, rounds + 1):
        name = f"{kind}_{number}"
        add_dataset(shared, name, kind)
        found.append(child(settings, "chain", name))
    best = {key: max(one[key] for one in found) if key.endswith("_mb") else min(one[key] for one in found)
            for key in found[0]}  # fmt: skip
    return name, best


async def beside_a_reader(url: str, settings: Settings, name: str, rows: int) -> dict[str, Any]:
    """The same work with changed files, while somebody reads."""
    tables = (name, f"{name}_preprocessed")
    async with reading(url, tables, (rows, rows + MORE_ROWS)) as found:
        figures = await asyncio.to_thread(child, settings, "chain", name)
        await asyncio.sleep(1.5)  # the tables are counted once more
    return figures | {"reader": msgspec.to_builtins(found)}


def run(url: str, shared: Path, rows: int, kinds: tuple[str, ...]) -> None:
    """The measurements, in turn."""
    settings = Settings(shared_dir=str(shared), database_url=url, rookery_signing_key="k" * 32)
    rounds = 3 if rows <= 1_000_000 else 1
    data = shared / "data"
    make_files(data, "rows", rows, seed=0)
    sides = measure_sides(url, data / "rows.csv", rows, rounds)
    for kind in kinds:
        for stale in data.glob("rows-more.*"):
            stale.unlink()
        load = os.getloadavg()[0]
        name, ours = measure_ours(settings, shared, kind, rounds)
        make_files(data, "rows-more", MORE_ROWS, seed=1)
        read = asyncio.run(beside_a_reader(url, settings, name, rows))
        # The rows are the same in each format, so one training of each kind is enough.
        families = ("sample", "chunks") if kind == kinds[0] else ()
        trained = {family: child(settings, "train", name, family) for family in families}
        result = {
            "rows": rows, "kind": kind, "rounds": rounds, **sides, **ours, "while_read": read, "train": trained,
            "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "load_1_min": round(load, 2)},
            "measured_on": time.strftime("%Y-%m-%d"),
        }  # fmt: skip
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"ingest-{kind}-{rows}.json").write_text(json.dumps(result, indent=2) + "\n")
        show(result)
        if read["reader"]["bad"]:
            sys.exit(f"the reader got wrong answers: {read['reader']['bad'][:5]}")


def show(found: dict[str, Any]) -> None:
    """Prints one format's table."""
    rows, reader, trained = found["rows"], found["while_read"]["reader"], found["train"]
    ingest, preprocess = rows / found["ingest_s"], rows / found["preprocess_s"]
    copy, to_sql_rate, ctas = rows / found["copy_s"], found["to_sql_rows_per_s"], rows / found["ctas_s"]
    lines = [
        ("ingest, checks and digest included", f"{ingest:,.0f} rows/s, {found['ingest_mb']:.0f} MB"),
        ("bare asyncpg COPY of ready bytes of CSV", f"{copy:,.0f} rows/s; ours is {ingest / copy:.0%}"),
        (
            f"pandas.to_sql, its defaults, {found['to_sql_rows']:,} rows",
            f"{to_sql_rate:,.0f} rows/s; ours is {ingest / to_sql_rate:.0f}x",
        ),
        ("preprocess", f"{preprocess:,.0f} rows/s, {found['both_mb']:.0f} MB"),
        ("bare CREATE TABLE AS", f"{ctas:,.0f} rows/s; ours is {preprocess / ctas:.0%}"),
        ("CREATE TABLE AS in parallel, in no order", f"{rows / found['ctas_parallel_s']:,.0f} rows/s"),
        ("shown to everybody, while the chain goes on", f"{found['show_s']:.2f} s and {found['show_encoded_s']:.2f} s"),
        ("five rows read beside the same work", f"{reader['reads']:,}, longest {reader['longest_read_ms']:.0f} ms"),
        ("all rows counted beside it", f"{reader['counts']:,}, longest {reader['longest_count_ms']:.0f} ms"),
        ("answers empty, partial or mixed", f"{len(reader['bad'])}"),
        *(
            (f"training, {what}", f"{trained[name]['train_s']:.1f} s, {trained[name]['train_mb']:.0f} MB")
            for name, what in (("sample", "a sample of at most 1,000,000 rows"), ("chunks", "all rows in chunks"))
            if name in trained
        ),
    ]
    print(f"{rows:,} rows of {found['kind']}, {os.cpu_count()} cores, load {found['machine']['load_1_min']:.1f}")
    for name, figure in lines:
        print(f"  {name:58} {figure}", flush=True)


def main() -> None:
    """Measures in a folder that is gone afterwards, also where this is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rows, kind = (sys.argv[1:] + ["1000000", "both"][len(sys.argv) - 1 :])[:2]
    if kind not in (*KINDS, "both") or not rows.isdigit():
        sys.exit(f"usage: python -m bench.ingest.run [ROWS] [{'|'.join(KINDS)}|both]")
    with bench_folder() as folder:
        shared = folder / "shared"
        for name in ("datasets", "data", "models"):
            (shared / name).mkdir(parents=True)
        with database(folder) as url:
            run(url, shared, int(rows), KINDS if kind == "both" else (kind,))


if __name__ == "__main__":
    main()
