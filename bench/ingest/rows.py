"""Penguin-like rows as CSV and Parquet, made in parts."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

PART = 500_000
KINDS = ("csv", "parquet")


def make_files(folder: Path, name: str, rows: int, *, seed: int) -> None:
    """Writes NAME.csv and NAME.parquet with the same rows, dated long ago: files that nobody writes to any more."""
    random = np.random.default_rng(seed)
    paths = [folder / f"{name}.{kind}" for kind in KINDS]
    with paths[0].open("wb") as csv_file, pq.ParquetWriter(paths[1], part_of(random, 0).schema) as parquet_file:
        for begin in range(0, rows, PART):
            part = part_of(random, min(PART, rows - begin))
            options = pacsv.WriteOptions(include_header=begin == 0, quoting_style="needed")
            pacsv.write_csv(part, csv_file, options)
            parquet_file.write_table(part)
    for path in paths:
        os.utime(path, (1.6e9, 1.6e9))


def part_of(random: np.random.Generator, rows: int) -> pa.Table:
    """Some rows; any category may come with any number."""
    return pa.table(
        {
            "species": np.array(["Adelie", "Chinstrap", "Gentoo"])[random.integers(0, 3, rows)],
            "island": np.array(["Biscoe", "Dream", "Torgersen"])[random.integers(0, 3, rows)],
            "bill_length_mm": np.round(random.normal(44, 5, rows), 1),
            "bill_depth_mm": np.round(random.normal(17, 2, rows), 1),
            "flipper_length_mm": np.round(random.normal(200, 14, rows)).astype(int),
            "body_mass_g": np.round(random.normal(4200, 800, rows)).astype(int),
            "sex": np.array(["Male", "Female"])[random.integers(0, 2, rows)],
        }
    )
