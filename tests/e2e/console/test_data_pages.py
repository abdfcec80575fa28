"""Data and Try it in a real browser: what the models learn from, and what they answer."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.e2e.console.conftest import PHONE, WIDE, Site, Visitor
from tests.specs import PENGUINS_CSV

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]
COLUMNS = [("species", "text"), ("island", "text"), ("bill_length_mm", "double precision"),
           ("bill_depth_mm", "double precision"), ("flipper_length_mm", "double precision"),
           ("body_mass_g", "double precision"), ("sex", "text")]  # fmt: skip
THEMES = pytest.mark.parametrize(
    ("size", "dark"), [(WIDE, False), (WIDE, True), (PHONE, False)], ids=["light", "dark", "phone"]
)


@pytest.fixture(scope="module")
def snapshot(site: Site) -> int:
    """A snapshot 43 of the penguins whose table is there."""
    kinds = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
    described = json.dumps([{"name": name, "type": kind} for name, kind in COLUMNS])
    with psycopg.connect(site.settings.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE snapshots.penguins_43 ({kinds})".encode())
        with connection.cursor().copy("COPY snapshots.penguins_43 FROM STDIN (FORMAT csv, HEADER true)") as copy:
            copy.write(PENGUINS_CSV)
        connection.execute(
            "INSERT INTO rookery.snapshots (dataset, number, state, digest, rows, rows_kept, rows_dropped, columns)"
            " VALUES ('penguins', 43, 'ready', 'abcdef0123456789', 344, 333, '{\"sex is missing\": 11}', %s)",
            [described],
        )
    return 43


@THEMES
def test_columns_are_drawn_small(visit: Visit, snapshot: int, size: tuple[int, int], dark: bool) -> None:
    """Each column has its kind, nulls and distribution, and each picture the same facts in words."""
    visitor = visit(size=size, dark=dark)
    visitor.open("/data/penguins")
    visitor.says(f"Columns of penguins, snapshot {snapshot}")
    visitor.page.locator("svg[aria-label^='bill_length_mm from 32.1 to 59.6']").wait_for()
    visitor.page.locator(".levels[aria-label^='Adelie 152']").wait_for()
    visitor.says("333 of 344 rows are used. Left out: 11 because sex is missing.")
    assert visitor.findings() == []
    assert not visitor.wider_than_window()


@THEMES
def test_a_rejection_says_what_to_do(visit: Visit, size: tuple[int, int], dark: bool) -> None:
    """A refused snapshot comes first: its reason, what stays in use, what to do, and the rows."""
    visitor = visit(size=size, dark=dark)
    visitor.open("/data/wine")
    visitor.says("The last snapshot was rejected")
    visitor.says("Write the numbers with a point")
    visitor.page.get_by_role("cell", name='"13,20"').wait_for()
    assert visitor.findings() == []
    assert not visitor.wider_than_window()


def test_brackets_turn_to_the_next_data_set(visit: Visit) -> None:
    """The bracket keys turn through the data sets, and the address follows."""
    visitor = visit()
    visitor.open("/data/penguins")
    visitor.says("target species")
    visitor.page.keyboard.press("]")
    visitor.page.wait_for_url("**/data/wine")
    visitor.says("The last snapshot was rejected")
    visitor.page.keyboard.press("[")
    visitor.page.wait_for_url("**/data/penguins")


def test_a_data_set_is_paused_where_its_data_is_looked_at(visit: Visit, site: Site) -> None:
    """The pause says what stays, and the page shows it and its reason until it is resumed."""
    visitor = visit()
    visitor.open("/data/penguins")
    visitor.press("Pause")
    visitor.says("Models that are live keep answering.")
    visitor.page.get_by_label("Why, if you like").fill("moving the data")
    visitor.press("Pause penguins")
    visitor.says("moving the data")
    visitor.press("Resume")
    visitor.press("Resume penguins")
    visitor.page.get_by_role("button", name="Pause", exact=True).wait_for()
    assert site.rows("SELECT paused FROM rookery.datasets WHERE name = 'penguins'") == [(False,)]


@THEMES
def test_all_models_answer_one_record(visit: Visit, size: tuple[int, int], dark: bool) -> None:
    """An example is asked for at once: each model's answer with version and probabilities, and whether they agree."""
    visitor = visit(size=size, dark=dark)
    visitor.open("/try")
    visitor.page.locator(".answer").nth(2).wait_for()
    assert visitor.page.locator(".agree h2").inner_text().startswith("All 3 say")
    assert visitor.page.locator(".answer .prob").count() == 9
    assert visitor.findings() == []
    assert not visitor.wider_than_window()


def test_what_is_typed_is_asked_and_kept_in_the_address(visit: Visit) -> None:
    """Ctrl Enter asks; the record is in the address, so that a colleague sees the same answers."""
    visitor = visit()
    visitor.open("/try")
    visitor.page.locator(".answer").nth(2).wait_for()
    visitor.page.get_by_label("bill_length_mm", exact=True).fill("38.25")
    visitor.says("for the record before; ask again")
    visitor.page.keyboard.press("Control+Enter")
    visitor.page.wait_for_function("location.search.includes('38.25')")
    visitor.says("answered in")
    address = visitor.page.evaluate("location.pathname + location.search")
    other = visit()
    other.open(address)
    other.page.locator(".answer").nth(2).wait_for()
    assert other.page.get_by_label("bill_length_mm", exact=True).input_value() == "38.25"


def test_a_field_that_is_wrong_is_said_beside_it(visit: Visit) -> None:
    """What is no number is said beside its field, and what was typed is kept; outside the range is a note only."""
    visitor = visit()
    visitor.open("/try")
    field = visitor.page.get_by_label("body_mass_g", exact=True)
    visitor.page.locator(".answer").nth(2).wait_for()
    field.fill("heavy")
    visitor.press("Ask all 3")
    visitor.says("body_mass_g is no number")
    assert field.input_value() == "heavy"
    assert visitor.findings() == []
    field.fill("9999")
    visitor.says("outside of what training saw")
    visitor.press("Ask all 3")
    visitor.page.get_by_text("body_mass_g is no number").wait_for(state="detached")


def test_the_same_as_code(visit: Visit, site: Site) -> None:
    """The request stands there as curl, Python and V2, with the record of the form."""
    visitor = visit()
    visitor.open("/try")
    visitor.page.locator(".answer").nth(2).wait_for()
    snippet = visitor.page.locator("pre.snippet")
    host = site.settings.inference_url.removeprefix("http://")
    assert f"curl -s {host}/predict/compare" in snippet.inner_text()
    visitor.press("Python")
    visitor.page.wait_for_url("**as=python**")
    assert "urllib.request" in snippet.inner_text()
    visitor.press("V2")
    visitor.page.wait_for_url("**as=v2**")
    assert "/v2/models/random_forest/infer" in snippet.inner_text()


def test_a_file_comes_back_with_answers(visit: Visit, tmp_path: Path) -> None:
    """A CSV is answered by every model; one without a needed column says which."""
    visitor = visit()
    visitor.open("/try")
    visitor.page.locator(".answer").nth(2).wait_for()
    rows = [line for line in PENGUINS_CSV.splitlines() if ",," not in line and not line.endswith(",")]
    good, bad = tmp_path / "birds.csv", tmp_path / "bad.csv"
    good.write_text("\n".join(rows[:40]) + "\n")
    bad.write_text("island,sex\nDream,MALE\n")
    chooser = visitor.page.get_by_label("choose a file")
    chooser.set_input_files(bad)
    visitor.says("The file has no column bill_length_mm")
    chooser.set_input_files(good)
    visitor.says("39 rows of birds.csv answered by 3 models.")
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("link", name="Save the file").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert download.value.suggested_filename == "birds.predictions.csv"
    assert lines[0].endswith("logistic_regression,random_forest,svc")
    assert len(lines) == 40
    assert lines[1].split(",")[-1] in {"Adelie", "Chinstrap", "Gentoo"}
