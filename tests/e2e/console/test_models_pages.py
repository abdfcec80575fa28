"""Models, versions and comparing in a real browser: what answers, since when, and deciding otherwise."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from playwright.sync_api import Route

from common.bundles.reader import read_aliases
from tests.bundles import KEY, Folder, logistic_regression, train
from tests.e2e.console.conftest import PHONE, WIDE, Site, Visitor

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]
FOREST = "/models/random_forest"
PAGES = [
    ("/models", "Which version answered"),
    (FOREST, "Version 12 is held."),
    (f"{FOREST}?pick=11..12", "Compare 11 and 12"),
    (f"{FOREST}/versions/12", "Where it comes from"),
    (f"{FOREST}/compare/11..12", "12 is wrong on"),
]


@pytest.fixture
def held(site: Site) -> Iterator[int]:
    """A held version 13 of logistic_regression, with its files."""
    one = train("logistic_regression", logistic_regression)
    Folder(site.settings.models_dir).write(one, 13)
    change(site, "DELETE FROM rookery.model_versions WHERE model = 'logistic_regression' AND version = 13")
    change(
        site,
        "INSERT INTO rookery.model_versions (model, version, dataset, family, state, metrics, reason, rows_test)"
        " VALUES ('logistic_regression', 13, 'penguins', 'logistic_regression', 'held', '{\"accuracy\": 0.9}',"
        " 'accuracy 0.9000, live version 12 has 0.9851', 67)",
    )
    yield 13
    change(site, "UPDATE rookery.model_versions SET state = 'published' WHERE version = 13")


def change(site: Site, statement: str) -> None:
    """Runs a statement that gives nothing."""
    with psycopg.connect(site.settings.database_url, autocommit=True) as connection:
        connection.execute(statement.encode())


def decide(visitor: Visitor, name: str) -> None:
    """Presses a button of the dialog."""
    visitor.page.get_by_role("dialog").get_by_role("button", name=name).click()


def live(site: Site, model: str) -> int:
    """Which version the folder says is live."""
    return read_aliases(site.settings.models_dir, model, [KEY]).live


def last_decision(site: Site, model: str) -> tuple[object, ...]:
    """The newest entry of a model's history: what, which version, why."""
    return site.rows(
        f"SELECT action, version, reason FROM rookery.decisions WHERE model = '{model}' ORDER BY at DESC LIMIT 1"
    )[0]


@pytest.mark.parametrize(
    ("size", "dark"), [(WIDE, False), (WIDE, True), (PHONE, False)], ids=["light", "dark", "phone"]
)
@pytest.mark.parametrize(("path", "words"), PAGES)
def test_a_page_is_drawn_and_anybody_can_use_it(
    visit: Visit, path: str, words: str, size: tuple[int, int], dark: bool
) -> None:
    """A page says what it is about, logs no error, fits the window, and has no serious finding of axe-core."""
    visitor = visit(size=size, dark=dark)
    visitor.open(path)
    visitor.says(words)
    assert visitor.findings() == []
    assert not visitor.wider_than_window()


def test_a_held_version_is_promoted(visit: Visit, site: Site, held: int) -> None:
    """A promotion lists what will happen, wants a reason, and then the folder, the history and the page say so."""
    visitor = visit()
    visitor.open("/models/logistic_regression")
    visitor.says(f"Version {held} is held.")
    visitor.press("Promote anyway")
    visitor.says("Every inference process verifies version 13")
    visitor.says("rookery models promote logistic_regression 13")
    assert visitor.page.evaluate("document.activeElement.closest('label').innerText") == "Why, for the history"
    assert visitor.findings() == []
    visitor.press("Make 13 live")
    visitor.says("Say why: the history keeps it.")
    visitor.page.get_by_label("Why, for the history").fill("agreed with ana")
    visitor.press("Make 13 live")
    visitor.page.locator(".live-line").get_by_text("version 13 live").wait_for()
    visitor.says("promoted by console")
    assert last_decision(site, "logistic_regression") == ("promote", 13, "agreed with ana")
    assert live(site, "logistic_regression") == 13
    assert visitor.page.locator(".ribbon .by-hand").count() >= 1


def test_escape_keeps_what_is_live(visit: Visit, site: Site) -> None:
    """A dialog that is left changes nothing, and focus goes back to its button."""
    before = last_decision(site, "random_forest")
    visitor = visit()
    visitor.open(FOREST)
    visitor.press("Promote anyway")
    visitor.says("Keep 11 live")
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_role("dialog").wait_for(state="detached")
    assert visitor.page.evaluate("document.activeElement.innerText") == "Promote anyway"
    assert last_decision(site, "random_forest") == before


def test_a_model_is_rolled_back_on_a_phone(visit: Visit, site: Site) -> None:
    """One button goes back to the version before, after it said which one stops answering."""
    visitor = visit(size=PHONE)
    visitor.open("/models/logistic_regression")
    (row,) = site.rows("SELECT live, previous FROM rookery.live_models WHERE model = 'logistic_regression'")
    visitor.press(f"Roll back to {row[1]}")
    visitor.says(f"{row[0]} stops answering.")
    assert visitor.findings() == []
    visitor.page.get_by_label("Why, for the history").fill("odd answers")
    decide(visitor, f"Go back to {row[1]}")
    visitor.page.locator(".live-line").get_by_text(f"version {row[1]} live").wait_for()
    assert last_decision(site, "logistic_regression") == ("rollback", row[1], "odd answers")
    assert live(site, "logistic_regression") == row[1]


def test_a_pin_is_set_and_taken_away(visit: Visit, site: Site) -> None:
    """The pin changes with its button, back and forth, and each step is in the history."""
    change(site, "UPDATE rookery.live_models SET pinned = false WHERE model = 'svc'")
    visitor = visit()
    visitor.open("/models/svc")
    for button, make, action in (("Pin 12", "Pin 12", "pin"), ("Unpin", "Unpin", "unpin")):
        visitor.press(button)
        visitor.page.get_by_label("Why, for the history").fill("audit")
        decide(visitor, make)
        visitor.page.get_by_role("dialog").wait_for(state="detached")
        assert last_decision(site, "svc") == (action, 12, "audit")
    visitor.page.get_by_role("button", name="Pin 12").wait_for()


def test_a_shadow_is_begun_and_ended(visit: Visit, site: Site) -> None:
    """A held version runs unseen on a share of the requests until that is ended."""
    visitor = visit()
    visitor.open(FOREST)
    visitor.press("Run as shadow")
    visitor.page.get_by_label("Share of live requests").fill("25")
    visitor.press("Run 12 unseen")
    visitor.says("Version 12 runs as a shadow")
    assert site.rows("SELECT candidate, shadow_share FROM rookery.live_models WHERE model = 'random_forest'") == [
        (12, 0.25)
    ]
    assert visitor.findings() == []
    visitor.press("End the shadow")
    decide(visitor, "End the shadow")
    visitor.page.get_by_text("Version 12 runs as a shadow").wait_for(state="detached")


def test_a_version_is_left_held(visit: Visit, site: Site) -> None:
    """What was decided about needs nobody any more."""
    visitor = visit()
    visitor.open(f"{FOREST}/compare/11..12")
    visitor.press("Keep 11")
    visitor.says("It is no longer named as something that needs you.")
    visitor.page.get_by_label("Why, for the history").fill("too small")
    visitor.press("Leave 12 held")
    visitor.page.get_by_role("button", name="Keep 11").wait_for(state="detached")
    assert last_decision(site, "random_forest") == ("keep", 12, "too small")
    change(site, "DELETE FROM rookery.decisions WHERE action = 'keep'")


def test_two_versions_are_chosen_and_compared(visit: Visit) -> None:
    """Two ticks in the table lead to the comparison, and Back leads to the ticks."""
    visitor = visit()
    visitor.open(FOREST)
    for version in (10, 12):
        visitor.page.get_by_label(f"Compare version {version}").check()
    visitor.press("Compare 10 and 12")
    visitor.page.wait_for_url(f"**{FOREST}/compare/10..12")
    visitor.says("Rows they answer differently")
    assert visitor.page.locator("table.confusion").count() == 2
    visitor.page.go_back()
    assert visitor.page.get_by_label("Compare version 12").is_checked()


def test_a_version_without_classes_is_drawn(visit: Visit) -> None:
    """The manifest of a regression names no classes; its page shows the rest all the same."""
    visitor = visit()

    def as_of_a_regression(route: Route) -> None:
        told = route.fetch()
        version = told.json()
        del version["manifest"]["classes"]
        route.fulfill(response=told, json=version)

    visitor.page.route("**/api/models/*/versions/12", as_of_a_regression)
    visitor.open(f"{FOREST}/versions/12")
    visitor.says("Where it comes from")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_long_names_leave_room_for_the_rest(visit: Visit, size: tuple[int, int]) -> None:
    """However long a model's name is, the last step of the path is whole, and nothing lies on the buttons beside it."""
    visitor = visit(size=size)
    visitor.open(f"/models/{'inventory_of_city_trees_' * 6}.random_forest/compare/11..12")
    last = visitor.page.locator(".top h1 > :last-child")
    assert last.evaluate("(step) => step.scrollWidth <= step.clientWidth")
    assert last.evaluate("(step) => step.getBoundingClientRect().right") <= visitor.page.locator(
        ".top .right"
    ).evaluate("(buttons) => buttons.getBoundingClientRect().left")
    assert not visitor.wider_than_window()
    visitor.errors.clear()  # the browser itself logs the 404 of the REST interface


def test_the_metric_is_in_the_address(visit: Visit) -> None:
    """The chart says in words what it shows."""
    visitor = visit()
    visitor.open(FOREST)
    chart = visitor.page.locator("svg[aria-label^='Accuracy over versions']")
    chart.wait_for()
    assert "12 0.8358 held" in (chart.get_attribute("aria-label") or "")


@pytest.mark.parametrize(
    "path", ["/models/tree", f"{FOREST}/versions/99", f"{FOREST}/compare/11..99", f"{FOREST}/compare/11"]
)
def test_what_there_is_not_is_said(visit: Visit, path: str) -> None:
    """A model, version or pair that there is not is a sentence and a way on."""
    visitor = visit()
    visitor.open(path)
    visitor.says("There is nothing here")
    visitor.errors.clear()  # the browser itself logs the 404 of the REST interface
