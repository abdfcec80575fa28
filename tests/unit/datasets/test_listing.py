"""What is told of specs."""

from pathlib import Path

import pytest

from common.datasets.listing import check_specs, list_specs, show_spec
from common.errors import UnknownDatasetError
from tests.specs import PENGUINS, SMALLEST

QUERY = 'kind = "sql"\nquery = "SELECT 1"\nurl = "postgresql://reader:secret@host/theirs"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good spec, one with a slip in a parameter, one on a database, and a broken one."""
    (tmp_path / "birds.toml").write_text(PENGUINS)
    (tmp_path / "slip.toml").write_text(SMALLEST + "params = { alfa = 1 }\n")
    (tmp_path / "theirs.toml").write_text(SMALLEST.replace('kind = "csv"\npath = "houses.csv"', QUERY))
    (tmp_path / "broken.toml").write_text("target = 1")
    return tmp_path


def test_a_list_has_the_good_and_the_broken(folder: Path) -> None:
    """Each file is a line: what it is, or what is wrong with it."""
    states = {state.name: state for state in list_specs(folder)}
    assert states["birds"].models == ("logistic_regression", "random_forest", "svc")
    assert (states["birds"].source, states["birds"].features) == ("seaborn penguins", 6)
    assert states["slip"].models == ("slip.ridge",)
    assert "broken.toml" in states["broken"].problem
    assert states["theirs"].source == "query on postgresql://reader:***@host/theirs"


def test_a_check_looks_into_parameters_too(folder: Path) -> None:
    """A parameter that the estimator does not have is told with its key."""
    (state,) = check_specs(folder, ["slip"])
    assert "families.ridge.params.alfa: sklearn.linear_model.Ridge has no such parameter" in state.problem
    assert [state.name for state in check_specs(folder) if state.problem] == ["broken", "slip"]
    with pytest.raises(UnknownDatasetError, match="there are birds, broken, slip, theirs"):
        check_specs(folder, ["ghost"])


def test_a_password_is_never_shown(folder: Path) -> None:
    """The URL of somebody's database is shown without its password."""
    shown = show_spec(folder, "theirs")
    assert shown["source"]["url"] == "postgresql://reader:***@host/theirs"
    assert shown["models"] == ["theirs.ridge"]
