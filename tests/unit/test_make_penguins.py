"""The built-in data set and the script that makes it."""

import csv
import importlib.util
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "shared" / "data" / "penguins.csv"


def test_the_file_is_what_the_script_makes() -> None:
    """The script's output and the committed file agree byte for byte."""
    spec = importlib.util.spec_from_file_location("make_penguins", ROOT / "scripts" / "make_penguins.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.penguins_csv().encode() == FILE.read_bytes()


def test_the_file_is_in_the_form_of_seaborn() -> None:
    """Column names, row order, upper-case sex and blanks for what is missing are those of seaborn's own file."""
    with FILE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "species",
        "island",
        "bill_length_mm",
        "bill_depth_mm",
        "flipper_length_mm",
        "body_mass_g",
        "sex",
    ]
    assert [row["species"] for row in rows] == ["Adelie"] * 152 + ["Chinstrap"] * 68 + ["Gentoo"] * 124
    assert Counter(row["sex"] for row in rows) == {"MALE": 168, "FEMALE": 165, "": 11}
    assert sum(all(rows[at].values()) for at in range(344)) == 333
