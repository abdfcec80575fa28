"""Writes shared/data/penguins.csv from the package palmerpenguins (CC0), in seaborn's form of it.

Seaborn's file has seven of the eight columns, the species in the order Adelie, Chinstrap, Gentoo, the sex in upper
case, and nothing where a value is missing. Run it from anywhere: `python scripts/make_penguins.py [FILE]`.
"""

import csv
import io
import sys
from importlib.resources import files
from pathlib import Path

COLUMNS = (
    "species",
    "island",
    "bill_length_mm",
    "bill_depth_mm",
    "flipper_length_mm",
    "body_mass_g",
    "sex",
)


def penguins_csv() -> str:
    """The file's text. Numbers stay as they are written in the package, so that nothing is rounded."""
    source = (files("palmerpenguins") / "data" / "penguins.csv").read_text(encoding="utf-8")
    rows = [
        {column: "" if row[column] == "NA" else row[column] for column in COLUMNS}
        for row in csv.DictReader(io.StringIO(source))
    ]
    rows.sort(key=lambda row: row["species"])  # stable: within a species the order stays
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "sex": row["sex"].upper()} for row in rows)
    return out.getvalue()


if __name__ == "__main__":
    default = Path(__file__).parent.parent / "shared" / "data" / "penguins.csv"
    (Path(sys.argv[1]) if len(sys.argv) > 1 else default).write_text(penguins_csv(), encoding="utf-8")
