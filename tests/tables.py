"""Tables that are no penguins, made up: one with words and many categories, one whose target is a number."""

import random
from pathlib import Path


def write_trees(path: Path, *, rows: int = 400) -> None:
    """Kinds of trees by place (40 of them), soil and height: words decide."""
    draw = random.Random(7)  # noqa: S311 - made-up rows, no secret
    places = [f"plot {number:02}" for number in range(40)]
    lines = ["place,soil,height_m,kind"]
    for _ in range(rows):
        place, soil = draw.choice(places), draw.choice(("clay", "sand", "loam"))
        kind = {"clay": "oak", "sand": "pine", "loam": "ash"}[soil] if draw.random() < 0.95 else "oak"
        height = {"oak": 18, "pine": 25, "ash": 14}[kind] + draw.gauss(0, 2)
        lines.append(f"{place},{soil},{height:.2f},{kind}")
    path.write_text("\n".join(lines) + "\n")


def write_rents(path: Path, *, rows: int = 300) -> None:
    """Rents by size, age and district."""
    draw = random.Random(11)  # noqa: S311 - made-up rows, no secret
    lines = ["size_m2,age_years,district,rent"]
    for _ in range(rows):
        size, age, district = draw.uniform(20, 120), draw.randint(0, 90), draw.choice(("north", "south", "harbour"))
        rent = 9 * size - 2 * age + {"north": 0, "south": 80, "harbour": 220}[district] + draw.gauss(0, 20)
        lines.append(f"{size:.1f},{age},{district},{rent:.2f}")
    path.write_text("\n".join(lines) + "\n")
