"""What people decide on the console's pages, in a real browser: it says what will happen, and then that happens."""

from collections.abc import Callable

import pytest

from tests.e2e.console.conftest import PHONE, Site, Visitor

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]


def test_a_run_is_asked_for(visit: Visit, site: Site) -> None:
    """The button asks for a run of the data set, which the page then shows without being loaded again."""
    visitor = visit()
    visitor.open("/?dataset=wine")
    visitor.press("Run wine")
    visitor.says("wine is asked to run")
    assert site.rows("SELECT requested_by FROM rookery.runs WHERE dataset = 'wine' AND state = 'running'")
    visitor.says("1 queued")


def test_a_schedule_is_paused_and_resumed(visit: Visit, site: Site) -> None:
    """A pause says what stays, is kept with its reason, and is taken back by one button."""
    visitor = visit()
    visitor.open("/")
    visitor.press("Pause schedule")
    visitor.says("Its live models keep answering.")
    assert visitor.findings() == []
    visitor.page.get_by_label("Why, if you like").fill("moving the data")
    visitor.press("Pause it")
    visitor.page.get_by_role("button", name="Resume schedule").wait_for()
    visitor.says("moving the data")
    assert site.rows("SELECT paused_reason FROM rookery.datasets WHERE name = 'penguins'") == [("moving the data",)]
    visitor.press("Resume schedule")
    visitor.page.get_by_role("button", name="Pause schedule").wait_for()
    assert site.rows("SELECT paused FROM rookery.datasets WHERE name = 'penguins'") == [(False,)]


def test_escape_leaves_things_as_they_are(visit: Visit, site: Site) -> None:
    """A dialog that is closed by Escape changes nothing, and focus goes back to its button."""
    visitor = visit()
    visitor.open("/")
    visitor.press("Pause schedule")
    visitor.says("Its live models keep answering.")
    visitor.page.keyboard.press("Escape")
    visitor.page.get_by_role("dialog").wait_for(state="detached")
    assert visitor.page.evaluate("document.activeElement.innerText") == "Pause schedule"
    assert not site.rows("SELECT 1 FROM rookery.datasets WHERE paused")


def test_dead_letters_are_retried_and_discarded(visit: Visit, site: Site) -> None:
    """A retry gives a dead letter new attempts; discarding asks first; both leave the list at once."""
    visitor = visit(size=PHONE)
    visitor.open("/events?dead")
    visitor.says("3 dead letters")
    visitor.says("the folder cannot be written")
    visitor.press("Retry")
    visitor.says("2 dead letters")
    visitor.press("Discard")
    visitor.says("It is not tried again, and leaves this list.")
    assert visitor.findings() == []
    visitor.press("Discard it")
    visitor.says("1 dead letter")
    assert site.rows("SELECT count(*) FROM rookery.events WHERE dead_at IS NOT NULL") == [(1,)]
    assert site.rows("SELECT count(*) FROM rookery.events WHERE result = 'discarded'") == [(1,)]


def test_new_events_come_by_themselves(visit: Visit, site: Site) -> None:
    """The tail shows an event that comes while it is open; a tail that is held counts it instead."""
    del site
    visitor = visit()
    visitor.open("/events?type=ingest")
    visitor.page.locator("table.tail").wait_for()
    visitor.page.locator(".heard").get_by_text("Live").wait_for()
    rows = visitor.page.locator("table.tail tbody tr")
    before = rows.count()
    visitor.page.evaluate(_ASK)
    rows.nth(before).wait_for()
    visitor.press("Hold the tail")
    visitor.page.evaluate(_ASK)
    visitor.says("1 new")
    visitor.press("Let the tail go on")
    rows.nth(before + 1).wait_for()


_ASK = (
    "fetch('/api/runs', {method: 'POST', headers: {'Content-Type': 'application/json'},"
    " body: JSON.stringify({dataset: 'penguins', force: true})})"
)
