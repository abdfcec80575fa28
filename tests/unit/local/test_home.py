"""The folder of an instance."""

import stat
from pathlib import Path

import pytest

from common.errors import ConflictError
from services.local.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A made home."""
    found = Home.at(tmp_path / "home")
    found.make()
    return found


def test_a_secret_is_made_once(home: Home) -> None:
    """A secret stays what it was made as, and differs from others."""
    first = home.make_secret("database_password")
    assert home.make_secret("database_password") == first
    assert home.make_secret("redis_password") != first
    assert len(first) >= 32


def test_a_secret_is_for_its_owner_alone(home: Home) -> None:
    """Neither the file nor its folder is open to others."""
    home.make_secret("signing_key")
    assert stat.S_IMODE(home.secret("signing_key").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.secret("signing_key").parent.stat().st_mode) == 0o700


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    """Making a home in an existing folder does not open or close that folder."""
    (tmp_path / "mine").mkdir(mode=0o750)
    Home.at(tmp_path / "mine").make()
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o750


def test_an_instance_is_held_by_one(home: Home) -> None:
    """A second stack on the same home is told who holds it."""
    with home.held():
        assert home.supervisor() is not None
        with pytest.raises(ConflictError, match=r"already runs on .*pid \d+"), home.held():
            pytest.fail("held twice")
    assert home.supervisor() is None
    with home.held():
        pass
