"""The pages of the documentation: what they point at is there, and each can be found."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "bench", "deploy")
PAGES = sorted([ROOT / "README.md", *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Files named in code, such as `docs/scaling.md` or `bench/results/serving.json`.
NAMED = re.compile(r"`((?:docs|bench|deploy|tests|services|common|scripts|requirements)/[\w./-]+\.\w+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_points_at_is_there(page: Path) -> None:
    """Every link leads to a file (and a heading, if it names one), and every file named in code exists."""
    text = page.read_text(encoding="utf-8")
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://")):
            continue
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not heading or heading in _anchors(target), link
    for name in NAMED.findall(text):
        assert (ROOT / name).exists(), name


def _anchors(page: Path) -> set[str]:
    """The headings of a page as they are linked to."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme() -> None:
    """A stranger finds each page, from the README or from a page that it links."""
    reached, to_do = set(), [ROOT / "README.md"]
    while to_do:
        page = to_do.pop()
        reached.add(page)
        links = [page.parent / link.partition("#")[0] for link in LINK.findall(page.read_text(encoding="utf-8"))]
        to_do += [
            link.resolve() for link in links if link.suffix == ".md" and link.exists() and link.resolve() not in reached
        ]
    assert {page for page in PAGES if page.parent.name == "docs"} <= reached
