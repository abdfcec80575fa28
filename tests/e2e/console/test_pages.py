"""Every page of the console in a real browser: drawn without an error, in both themes and on a phone, for everybody."""

import re
from collections.abc import Callable

import pytest

from tests.e2e.console.conftest import PHONE, WIDE, Site, Visitor

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]
# An address, and words that its page says.
PAGES = [
    ("/", "random_forest 12 is held"),
    ("/?dataset=wine", "The chain"),
    ("/runs", "14 ticks of penguins"),
    ("/events", "Events a minute"),
    ("/api", "Rookery console"),
]


@pytest.mark.parametrize(("path", "words"), PAGES)
def test_a_page_is_drawn_and_anybody_can_use_it(visit: Visit, path: str, words: str) -> None:
    """A page says what it is about, logs no error, fits the window, and axe-core agrees: light, dark, on a phone."""
    visitor = visit()
    visitor.open(path)
    visitor.says(words)
    assert visitor.findings() == []
    assert not visitor.wider_than_window()
    visitor.page.emulate_media(color_scheme="dark")
    assert visitor.findings(rules=["color-contrast"]) == []
    visitor.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    visitor.says(words)
    assert visitor.findings() == []
    assert not visitor.wider_than_window()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_run_is_a_tree_of_causes(visit: Visit, site: Site, size: tuple[int, int]) -> None:
    """A run says what came of it, shows each event under its cause, and opens the one that explains it."""
    visitor = visit(size=size)
    visitor.open(f"/runs/{site.seed.held}")
    visitor.says("random_forest 12 is held")
    names = visitor.page.locator(".tree a.node .mono").all_inner_texts()
    assert names[0] == "ingest.requested"
    assert "model.held" in names
    assert visitor.page.locator(".event").get_by_text("model.held").count() == 1
    assert visitor.findings() == []


def test_an_event_has_an_address(visit: Visit, site: Site) -> None:
    """One event shows its error, its data and what can be decided about it."""
    visitor = visit()
    visitor.open(f"/events/{site.seed.dead[-1]}")
    visitor.says("Read-only file system")
    assert visitor.findings() == []


def test_filters_are_in_the_address(visit: Visit) -> None:
    """A choice changes the list and the address, Back undoes pages, and what excludes everything is said."""
    visitor = visit()
    visitor.open("/runs")
    visitor.press("Needs you")
    visitor.page.wait_for_url("**/runs?state=needs")
    visitor.says("rejected")
    visitor.page.get_by_role("searchbox").fill("nothing has this in it")
    visitor.says("Without the text there would be")
    visitor.press("Clear the filters")
    visitor.page.wait_for_url("**/runs")
    visitor.says("ticks of penguins")


def test_an_unknown_address_says_so(visit: Visit) -> None:
    """A run that there is not is no empty page, but a sentence and a way on."""
    visitor = visit()
    visitor.open("/runs/000000000000")
    visitor.says("There is nothing here")
    visitor.errors.clear()  # the browser itself logs the 404 of the REST interface


def test_the_keyboard_goes_everywhere(visit: Visit) -> None:
    """Letters go to pages, j moves along rows, Enter opens, ? lists the keys, Ctrl K finds a run."""
    visitor = visit()
    visitor.open("/")
    visitor.says("The chain")
    visitor.page.keyboard.type("gr")
    visitor.page.wait_for_url("**/runs")
    visitor.says("ticks of penguins")
    visitor.page.keyboard.press("j")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/runs/*")
    visitor.page.keyboard.press("?")
    visitor.says("Go to a page, run, version or event")
    assert visitor.findings() == []
    visitor.page.keyboard.press("Escape")
    visitor.page.keyboard.press("Control+k")
    visitor.page.keyboard.type("wine")
    visitor.page.get_by_role("option", name=re.compile(r"run\s*wine")).first.wait_for()
    assert visitor.findings() == []
    visitor.page.keyboard.press("Escape")
    assert visitor.page.get_by_role("dialog").count() == 0


def test_nothing_moves_for_whoever_wants_that(visit: Visit) -> None:
    """With reduced motion the arc of what runs stands still."""
    visitor = visit(reduced_motion="reduce")
    visitor.open("/")
    visitor.says("The chain")
    assert visitor.page.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
    assert visitor.page.evaluate("document.getAnimations().length") == 0


def test_the_theme_is_remembered(visit: Visit) -> None:
    """The button turns the theme, and the next page begins with it."""
    visitor = visit()
    visitor.open("/")
    visitor.press("Light or dark")
    visitor.page.reload()
    assert visitor.page.evaluate("document.documentElement.dataset.theme") == "dark"
