"""What the documentation says of the code."""

import subprocess
import sys
from pathlib import Path

from bench.pipeline import table

ROOT = Path(__file__).parents[2]


def test_the_pages_made_from_the_code_are_current() -> None:
    """docs/settings.md and docs/events.md say what the code says."""
    done = subprocess.run(
        [sys.executable, "scripts/make_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_table_of_the_benches_is_that_of_their_results() -> None:
    """docs/pipeline.md shows the figures that lie in bench/results/, and no others."""
    shown = table.PAGE.read_text().partition(table.BEGIN)[2].partition(table.END)[0]
    assert shown.strip() == table.markdown().strip()


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
