"""What ingest and preprocess are compared with: the barest way to do each, and the one that most people know."""

import time
from pathlib import Path

import asyncpg

COLUMNS = (
    "species text, island text, bill_length_mm float8, bill_depth_mm float8, flipper_length_mm float8,"
    " body_mass_g float8, sex text"
)


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


async def drop(url: str) -> None:
    """Gives back the disk that the tables above take."""
    connection = await asyncpg.connect(url)
    await connection.execute("DROP TABLE IF EXISTS public.bare, public.encoded, public.by_pandas")
    await connection.close()


def to_sql(url: str, path: Path, rows: int) -> float:
    """Rows per second of pandas.to_sql with its defaults, of the file's first rows."""
    import pandas as pd
    from sqlalchemy import create_engine

    frame = pd.read_csv(path, nrows=rows)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    began = time.perf_counter()
    frame.to_sql("by_pandas", engine, schema="public", if_exists="replace", index=False)
    seconds = time.perf_counter() - began
    engine.dispose()
    return len(frame) / seconds
