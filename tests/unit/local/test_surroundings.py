"""What a stack runs on."""

import socket
import stat
from pathlib import Path

import pytest

from common.errors import SettingsError
from common.settings import load_settings
from services.local import servers
from services.local.home import Home
from services.local.surroundings import (
    Surroundings,
    check_database,
    check_redis,
    look_around,
    psql_url,
    read_environment,
    with_instance,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home, with a shared folder beside it."""
    monkeypatch.setattr(servers, "server_account", lambda: None)
    (tmp_path / "shared" / "datasets").mkdir(parents=True)
    found = Home.at(tmp_path / "home")
    found.make()
    return found


def _look(home: Home, **environment: str) -> Surroundings:
    return look_around({"SHARED_DIR": str(home.path.parent / "shared"), **environment}, home)


def test_what_is_not_given_is_started(home: Home) -> None:
    """Without any setting both servers are embedded, with addresses that hold the made passwords."""
    around = _look(home)
    assert around.postgres is not None
    assert around.redis is not None
    assert home.make_secret("database_password") in around.settings.database("")
    assert home.make_secret("redis_password") in around.settings.redis


def test_what_is_given_is_used(home: Home) -> None:
    """An existing PostgreSQL and Redis are used, and none is started."""
    around = _look(home, APP_DB_HOST="db.example", APP_DB_PASSWORD="p:w", REDIS_URL="redis://cache.example:6379/0")
    assert around.postgres is None
    assert around.redis is None
    assert around.settings.database("") == "postgresql://rookery:p%3Aw@db.example:5432/rookery"


def test_no_secret_is_in_the_environment_of_the_processes(home: Home) -> None:
    """The processes find passwords and key in files; what they are started with shows none."""
    around = _look(home, DATABASE_URL="postgresql://u:hunter2@h/d", REDIS_PASSWORD="hunter3", REDIS_URL="redis://h")
    shown = str(around.environment)
    assert "hunter2" not in shown
    assert "hunter3" not in shown
    assert home.make_secret("signing_key", 32) not in shown
    loaded = load_settings(around.environment)
    assert loaded.database("") == "postgresql://u:hunter2@h/d"
    assert loaded.redis == "redis://:hunter3@h"
    assert loaded.signing_keys == (home.make_secret("signing_key").encode(),)


def test_the_processes_get_absolute_paths(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative shared folder means the one beside the caller, wherever a process runs."""
    monkeypatch.chdir(home.path.parent)
    around = look_around({"SHARED_DIR": "shared"}, home)
    assert around.environment["SHARED_DIR"] == str(home.path.parent / "shared")


def test_a_taken_default_port_gives_way_and_is_said(home: Home) -> None:
    """Where a default port is in use the next free one is chosen, with a note that names the variable."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: int = listener.getsockname()[1]
        with pytest.raises(SettingsError, match=f"CONSOLE_PORT: port {taken} is in use"):
            _look(home, CONSOLE_PORT=str(taken))
    around = _look(home)
    with socket.create_server(("127.0.0.1", around.settings.inference_port)):
        again = _look(home)
    assert again.settings.inference_port > around.settings.inference_port
    assert any("INFERENCE_PORT" in note for note in again.notes)


def test_a_missing_shared_folder_is_one_line_that_names_the_variable(home: Home) -> None:
    """Started elsewhere, the error says what SHARED_DIR should be."""
    with pytest.raises(SettingsError, match=r"^SHARED_DIR: .*nowhere has no folder `datasets`"):
        _look(home, SHARED_DIR="nowhere")


def test_a_password_without_a_host_is_one_line_that_names_the_variable(home: Home) -> None:
    """Half of APP_DB_* is told, not guessed."""
    with pytest.raises(SettingsError, match="APP_DB_HOST: is not set"):
        _look(home, APP_DB_PASSWORD="x")


def test_a_name_without_a_host_is_told_too(home: Home) -> None:
    """A database's name alone does not lead to a server of our own with another name, unsaid."""
    with pytest.raises(SettingsError, match="APP_DB_HOST: is not set, though APP_DB_NAME is"):
        _look(home, APP_DB_NAME="penguins")


def test_a_redis_database_that_is_no_number_is_one_line_that_names_the_variable() -> None:
    """The client would take database 0 instead, and the workers would fail later."""
    with pytest.raises(SettingsError, match=r"^REDIS_URL: ends with 'main', expected the number [^\n]*$"):
        check_redis(load_settings({"REDIS_URL": "redis://127.0.0.1:1/main"}))


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d"}, "DATABASE_URL: "),
        (
            {"APP_DB_HOST": "127.0.0.1", "APP_DB_PORT": "1", "APP_DB_PASSWORD": "hunter2"},
            "APP_DB_HOST or APP_DB_PORT: ",
        ),
    ],
)
def test_an_unreachable_database_is_one_line_that_names_the_variable(environment: dict[str, str], named: str) -> None:
    """Nobody listens there: the variable is named, the password is not shown."""
    with pytest.raises(SettingsError) as caught:
        check_database(load_settings(environment))
    assert caught.value.message.startswith(named)
    assert "\n" not in caught.value.message
    assert "hunter2" not in caught.value.message


def test_an_unreachable_redis_is_one_line_that_names_the_variable() -> None:
    """Nobody listens there: REDIS_URL is named."""
    with pytest.raises(SettingsError, match=r"^REDIS_URL: [^\n]*$"):
        check_redis(load_settings({"REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"}))


def test_the_file_for_libpq_escapes_what_it_must(home: Home) -> None:
    """A colon and a backslash in a password do not break the pgpass file, which is for its owner alone."""
    _look(home, DATABASE_URL="postgresql://me:a%3Ab%5Cc@db.example:5433/d", REDIS_URL="redis://h")
    file = home.secret("pgpass")
    assert file.read_text() == "db.example:5433:d:me:a\\:b\\\\c\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_address_for_psql_shows_no_password() -> None:
    """The address in a command line has the user and no password."""
    settings = load_settings({"DATABASE_URL": "postgresql://me:hunter2@db.example:5433/d"})
    assert psql_url(settings) == "postgresql://me@db.example:5433/d"


def test_other_commands_find_the_running_stack(home: Home) -> None:
    """Without a setting, a command reads the addresses that `up` kept; what is set wins."""
    around = _look(home)
    found = load_settings(with_instance({}, home))
    assert found.database("") == around.settings.database("")
    assert found.redis == around.settings.redis
    given = load_settings(with_instance({"APP_DB_HOST": "db.example"}, home))
    assert "db.example" in given.database("")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """`.env` is below what is set for the process; an empty value counts as not set."""
    (tmp_path / ".env").write_text("REDIS_PORT=7000\nFLOWER_PORT=7001\nCONSOLE_PORT=\n")
    found = read_environment(tmp_path, {"FLOWER_PORT": "7002", "REDIS_PORT": ""})
    assert found == {"REDIS_PORT": "7000", "FLOWER_PORT": "7002"}
