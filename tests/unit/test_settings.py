"""Settings from a mapping."""

from pathlib import Path

import pytest

from common.errors import SettingsError
from common.settings import Settings, load_settings


def test_what_is_not_set_has_its_default() -> None:
    """An empty environment gives the defaults, and an empty value counts as not set."""
    assert load_settings({"INFERENCE_PORT": ""}) == Settings()


def test_a_wrong_value_is_one_line_that_names_the_variable() -> None:
    """The error says which variable, what it holds, and what would be right."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"INFERENCE_PORT": "eighty"})
    assert str(caught.value).startswith("INFERENCE_PORT: Expected `int`")
    assert "'eighty'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_secret_is_not_shown() -> None:
    """No error and no repr shows a secret."""
    settings = load_settings({"APP_DB_PASSWORD": "geheim", "REDIS_URL": "redis://:geheim@127.0.0.1:1/0"})
    assert "geheim" not in repr(settings)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """A variable with _FILE names a file that holds the secret; the plain variable wins."""
    file = tmp_path / "password"
    file.write_text("from the file\n")
    assert load_settings({"APP_DB_PASSWORD_FILE": str(file)}).app_db_password == "from the file"
    both = {"APP_DB_PASSWORD_FILE": str(file), "APP_DB_PASSWORD": "given"}
    assert load_settings(both).app_db_password == "given"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing secret file is an error that names variable and file."""
    with pytest.raises(SettingsError, match="APP_DB_PASSWORD_FILE: cannot read"):
        load_settings({"APP_DB_PASSWORD_FILE": str(tmp_path / "none")})


def test_the_parts_make_the_url() -> None:
    """APP_DB_* give the same as DATABASE_URL, with the password quoted; DATABASE_URL wins."""
    parts = {"APP_DB_HOST": "db", "APP_DB_NAME": "n", "APP_DB_USER": "u", "APP_DB_PASSWORD": "p@:/"}
    assert load_settings(parts).database("asyncpg") == "postgresql+asyncpg://u:p%40%3A%2F@db:5432/n"
    given = parts | {"DATABASE_URL": "postgres://a:b@c:1/d"}
    assert load_settings(given).database("") == "postgresql://a:b@c:1/d"


@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "mysql://a"), ("REDIS_URL", "http://a"), ("REDIS_URL", "redis://a:port"), ("LOG_LEVEL", "LOUD")],
)
def test_a_url_or_choice_that_cannot_be_is_refused(name: str, value: str) -> None:
    """A wrong scheme, port or choice is an error at start, not later."""
    with pytest.raises(SettingsError, match=name):
        load_settings({name: value})


def test_dask_needs_an_address() -> None:
    """TRAIN_BACKEND=dask without a scheduler's address is refused at the start, not at the first training."""
    with pytest.raises(SettingsError, match=r"DASK_ADDRESS.*tcp://"):
        load_settings({"TRAIN_BACKEND": "dask"})


def test_a_missing_database_is_named() -> None:
    """Where none is set, the error says which variable to set and how."""
    with pytest.raises(SettingsError, match=r"DATABASE_URL .*postgresql://"):
        Settings().database("asyncpg")


def test_the_password_is_put_into_redis_url() -> None:
    """REDIS_PASSWORD completes a URL that has none."""
    settings = load_settings({"REDIS_URL": "redis://cache:6379/0", "REDIS_PASSWORD": "p/w"})
    assert settings.redis == "redis://:p%2Fw@cache:6379/0"


def test_several_keys_verify_and_the_first_signs() -> None:
    """Signing keys are separated by commas."""
    assert Settings(rookery_signing_key="new, old").signing_keys == (b"new", b"old")
