"""Rows per second and memory of ingest and preprocess, against bare COPY, pandas.to_sql and CREATE TABLE AS.

`python bench/ingest.py [ROWS] [--parquet]` starts a PostgreSQL of its own, as the stack does, makes penguin-like rows,
and prints a table; figures go to `bench/results/ingest-ROWS.json`. Each side is timed alone and without the other's
work; the ingest runs in a process of its own, whose highest resident memory is told. All rows are new in each run.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from common.database.engine import database_engine  # noqa: E402 - the path comes first
from common.settings import Settings  # noqa: E402
from common.snapshots import expose  # noqa: E402
from services.local.servers import Postgres, free_port, postgres_binaries, server_account  # noqa: E402
from tests.desk import Desk  # noqa: E402
from tests.specs import PENGUINS  # noqa: E402

PASSWORD = "of-a-bench"  # noqa: S105 - of a server that lives as long as the bench
COLUMNS = (
    "species text, island text, bill_length_mm float8, bill_depth_mm float8, flipper_length_mm float8,"
    " body_mass_g float8, sex text"
)
TO_SQL_ROWS = 1_000_000


def make_rows(folder: Path, rows: int) -> None:
    """Penguin-like rows as CSV and Parquet, written in parts."""
    rng = np.random.default_rng(0)
    schema = None
    with (folder / "big.csv").open("wb") as csv_file:
        writer = None
        for begin in range(0, rows, 500_000):
            n = min(500_000, rows - begin)
            part = pa.table(
                {
                    "species": np.array(["Adelie", "Chinstrap", "Gentoo"])[rng.integers(0, 3, n)],
                    "island": np.array(["Biscoe", "Dream", "Torgersen"])[rng.integers(0, 3, n)],
                    "bill_length_mm": np.round(rng.normal(44, 5, n), 1),
                    "bill_depth_mm": np.round(rng.normal(17, 2, n), 1),
                    "flipper_length_mm": np.round(rng.normal(200, 14, n)).astype(int),
                    "body_mass_g": np.round(rng.normal(4200, 800, n)).astype(int),
                    "sex": np.array(["Male", "Female"])[rng.integers(0, 2, n)],
                }
            )
            options = pacsv.WriteOptions(include_header=begin == 0, quoting_style="needed")
            pacsv.write_csv(part, csv_file, options)
            writer = writer or pq.ParquetWriter(folder / "big.parquet", part.schema)
            writer.write_table(part)
            schema = part.schema
    assert schema is not None
    assert writer is not None
    writer.close()
    for name in ("big.csv", "big.parquet"):
        os.utime(folder / name, (1.6e9, 1.6e9))


def highest_mb() -> float:
    """The highest resident memory of this process; `ru_maxrss` would count what its parent had before the exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def measure(settings: Settings) -> None:
    """In the process of its own: one ingest and one preprocess; prints seconds and memory.

    Showing the tables is timed apart: the chain goes on meanwhile.
    """
    async with database_engine(settings, "bench") as engine:
        desk = Desk(settings, engine)
        desk.after_commit = False
        moments = [time.perf_counter()]
        ingested = await desk.ingest("big")
        moments.append(time.perf_counter())
        peak = highest_mb()
        await expose(engine, "big")
        moments.append(time.perf_counter())
        announced = await desk.preprocess(ingested)
        moments.append(time.perf_counter())
        await expose(engine, "big_preprocessed")
        moments.append(time.perf_counter())
    names = ("ingest_s", "show_s", "preprocess_s", "show_encoded_s")
    figures = {name: end - begin for name, begin, end in zip(names, moments[:-1], moments[1:], strict=True)}
    print(json.dumps(figures | {"ingest_mb": peak, "both_mb": highest_mb(), "answer": announced.type}))


async def bare_copy(url: str, path: Path) -> float:
    """Seconds of asyncpg's COPY of the file's bytes into a new table."""
    connection = await asyncpg.connect(url)
    await connection.execute("DROP TABLE IF EXISTS public.bare")
    began = time.perf_counter()
    async with connection.transaction():
        await connection.execute(f"CREATE TABLE public.bare ({COLUMNS})")
        with path.open("rb") as file:
            await connection.copy_to_table(
                "bare", schema_name="public", source=file, format="csv", header=True, freeze=True
            )
    seconds = time.perf_counter() - began
    await connection.close()
    return seconds


async def bare_ctas(url: str, *, parallel: bool) -> float:
    """Seconds of CREATE TABLE AS of the encoded columns; parallel workers do not keep the order of the rows."""
    from common.features import Feature
    from common.snapshots import Features
    from services.preprocess.cleaning import encoding

    numeric = [Feature(name, "numeric") for name in COLUMNS.replace(",", " ").split() if name.endswith(("_mm", "_g"))]
    island = Feature("island", "categorical", ("Biscoe", "Dream", "Torgersen"))
    sex = Feature("sex", "categorical", ("Female", "Male"))
    target = Feature("species", "categorical", ("Adelie", "Chinstrap", "Gentoo"))
    columns, expressions = encoding(Features((*numeric, island, sex), target))
    named = ", ".join(
        f'{expression} AS "{column.name}"' for expression, column in zip(expressions, columns, strict=True)
    )
    connection = await asyncpg.connect(url)
    await connection.execute("DROP TABLE IF EXISTS public.encoded")
    if not parallel:
        await connection.execute("SET max_parallel_workers_per_gather = 0")
    began = time.perf_counter()
    await connection.execute(f"CREATE TABLE public.encoded AS SELECT {named} FROM public.bare")
    seconds = time.perf_counter() - began
    await connection.close()
    return seconds


def to_sql(url: str, path: Path, rows: int) -> float:
    """Rows per second of pandas.to_sql with its defaults."""
    import pandas as pd
    from sqlalchemy import create_engine

    frame = pd.read_csv(path, nrows=min(rows, TO_SQL_ROWS))
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    began = time.perf_counter()
    frame.to_sql("by_pandas", engine, schema="public", if_exists="replace", index=False)
    seconds = time.perf_counter() - began
    engine.dispose()
    return len(frame) / seconds


def main() -> None:
    """Runs everything and prints the table."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    rows = int(words[0]) if words else 1_000_000
    kind = "parquet" if "--parquet" in sys.argv else "csv"
    folder = Path(tempfile.mkdtemp(prefix="rookery-bench-", dir=os.environ.get("BENCH_TMP", "/var/tmp")))  # noqa: S108
    folder.chmod(0o755)
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
        time.sleep(2)
        url = server.url(PASSWORD, "postgres")
        env = os.environ | {"DATABASE_URL": url}
        subprocess.run(
            [sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=env, check=True, capture_output=True
        )
        shared = folder / "shared"
        for name in ("datasets", "data", "models"):
            (shared / name).mkdir(parents=True)
        make_rows(shared / "data", rows)
        source = f'[source]\nkind = "{kind}"\npath = "big.{kind}"\n'
        spec = PENGUINS.partition("[source]")[0] + source + "[features]" + PENGUINS.partition("[features]")[2]
        (shared / "datasets" / "big.toml").write_text(spec)
        result = run(url, shared, rows, kind)
    finally:
        child.terminate()
        child.wait()
        shutil.rmtree(folder, ignore_errors=True)
    target = ROOT / "bench" / "results" / f"ingest-{kind}-{rows}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")


def run(url: str, shared: Path, rows: int, kind: str) -> dict[str, object]:
    """The measurements, in turn."""
    settings = Settings(shared_dir=str(shared), database_url=url, rookery_signing_key="k" * 32)
    copy_s = min(asyncio.run(bare_copy(url, shared / "data" / "big.csv")) for _ in range(3 if rows <= 1_000_000 else 1))
    times = range(3 if rows <= 1_000_000 else 1)
    ctas_s = min(asyncio.run(bare_ctas(url, parallel=False)) for _ in times)
    parallel_s = min(asyncio.run(bare_ctas(url, parallel=True)) for _ in times)
    pandas_rate = to_sql(url, shared / "data" / "big.csv", rows)
    done = subprocess.run(
        [sys.executable, __file__, "--measure"],
        env=os.environ | {"BENCH_SETTINGS": msgspec.json.encode(settings).decode()},
        check=True,
        capture_output=True,
        text=True,
    )
    ours = json.loads(done.stdout.strip().splitlines()[-1])
    ingest_rate, preprocess_rate = rows / ours["ingest_s"], rows / ours["preprocess_s"]
    lines = [
        (f"ingest of {kind}, checks and digest included", f"{ingest_rate:,.0f} rows/s, {ours['ingest_mb']:.0f} MB"),
        ("bare asyncpg COPY of ready bytes", f"{rows / copy_s:,.0f} rows/s; ours is {ingest_rate * copy_s / rows:.0%}"),
        ("pandas.to_sql, its defaults", f"{pandas_rate:,.0f} rows/s; ours is {ingest_rate / pandas_rate:.0f}x"),
        ("preprocess", f"{preprocess_rate:,.0f} rows/s, {ours['both_mb']:.0f} MB"),
        ("bare CREATE TABLE AS", f"{rows / ctas_s:,.0f} rows/s; ours is {preprocess_rate * ctas_s / rows:.0%}"),
        (
            "analyzed and shown to everybody, while the chain goes on",
            f"{ours['show_s']:.2f} s and {ours['show_encoded_s']:.2f} s",
        ),
        ("CREATE TABLE AS in parallel, in no order", f"{rows / parallel_s:,.0f} rows/s"),
    ]
    print(f"{rows:,} rows, {os.cpu_count()} cores")
    for name, figure in lines:
        print(f"  {name:58} {figure}")
    return {"rows": rows, "kind": kind, "copy_s": copy_s, "ctas_s": ctas_s, "to_sql_rows_per_s": pandas_rate, **ours}


if __name__ == "__main__":
    if "--measure" in sys.argv:
        asyncio.run(measure(msgspec.json.decode(os.environ["BENCH_SETTINGS"], type=Settings)))
    else:
        main()
