"""`rookery datasets`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.local.cli import app

ROOT = Path(__file__).parents[3]
CSV = "size,colour,kind\n" + "".join(
    f"{number}.5,{colour},{kind}\n" for number in range(30) for colour, kind in (("red", "apple"), ("green", "pear"))
)


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty shared folder of this test, and an instance that does not run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHARED_DIR", str(tmp_path / "shared"))
    monkeypatch.setenv("ROOKERY_HOME", str(tmp_path / "home"))
    for name in ("datasets", "data", "models"):
        (tmp_path / "shared" / name).mkdir(parents=True)
    return tmp_path / "shared"


def test_a_csv_becomes_a_data_set_that_checks(shared: Path, tmp_path: Path) -> None:
    """`init` writes a spec that `check` accepts and `list` and `show` tell of."""
    (tmp_path / "fruit.csv").write_text(CSV)
    runner = CliRunner()
    made = runner.invoke(app, ["datasets", "init", "fruit.csv", "--target", "kind"], catch_exceptions=False)
    assert made.exit_code == 0, made.output
    assert (shared / "datasets" / "fruit.toml").exists()
    assert (shared / "data" / "fruit.csv").read_text() == CSV
    checked = runner.invoke(app, ["datasets", "check", "fruit", "--json"], catch_exceptions=False)
    assert checked.exit_code == 0
    assert json.loads(checked.stdout)[0]["target"] == "kind"
    shown = runner.invoke(app, ["datasets", "show", "fruit"], catch_exceptions=False)
    assert json.loads(shown.stdout)["name"] == "fruit"
    listed = runner.invoke(app, ["datasets", "list"], catch_exceptions=False)
    assert "fruit" in listed.output


def test_the_list_has_the_whole_names_of_models(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is too wide for its column goes on in the next line, and is not cut."""
    monkeypatch.setenv("COLUMNS", "60")
    (shared / "data" / "fruit.csv").write_text(CSV)
    runner = CliRunner()
    runner.invoke(app, ["datasets", "init", "shared/data/fruit.csv", "--target", "kind"], catch_exceptions=False)
    listed = runner.invoke(app, ["datasets", "list"], catch_exceptions=False).output
    assert "…" not in listed


def test_a_broken_spec_is_told_and_ends_with_one(shared: Path) -> None:
    """`check` says which file and key is wrong; the exit code tells programs."""
    (shared / "datasets" / "odd.toml").write_text('target = "kind"\n')
    checked = CliRunner().invoke(app, ["datasets", "check"], catch_exceptions=False)
    assert checked.exit_code == 1
    assert "odd.toml" in checked.output
