"""Specs that several tests begin with."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
PENGUINS = (ROOT / "shared" / "datasets" / "penguins.toml").read_text(encoding="utf-8")
PENGUINS_CSV = (ROOT / "shared" / "data" / "penguins.csv").read_text(encoding="utf-8")
SMALLEST = """
target = "price"
task = "regression"
[source]
kind = "csv"
path = "houses.csv"
[families.ridge]
estimator = "sklearn.linear_model.Ridge"
"""
HOUSES = (
    SMALLEST
    + """
[features]
numeric = ["rooms"]
categorical = ["town"]
"""
)
