"""Wrong settings of a PostgreSQL or Redis that was given: one line that names the variable. On real servers."""

import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from common.errors import SettingsError
from common.settings import load_settings
from services.local.surroundings import check_database, check_redis


@pytest.fixture
def poor(database_url: str) -> Iterator[str]:
    """The address of the database for a user who may connect and no more; there is nothing of ours in it."""
    name = f"poor_{secrets.token_hex(4)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS rookery, snapshots CASCADE")
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'hunter2'").format(sql.Identifier(name)))
        yield urlsplit(database_url)._replace(netloc=f"{name}:hunter2@127.0.0.1:{urlsplit(database_url).port}").geturl()
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def _complaint(**environment: str) -> str:
    """What is said of a database."""
    with pytest.raises(SettingsError) as caught:
        check_database(load_settings(environment))
    assert "\n" not in caught.value.message
    assert "hunter2" not in caught.value.message
    return caught.value.message


def test_a_right_address_is_accepted(database_url: str) -> None:
    """An owner's address is no error."""
    check_database(load_settings({"DATABASE_URL": database_url}))


def test_a_user_without_the_rights_is_told_the_statement_that_gives_them(poor: str, database_url: str) -> None:
    """First one right, then the other; with both, all is well."""
    for what in ("DATABASE", "SCHEMA public"):
        said = _complaint(DATABASE_URL=poor)
        assert said.startswith("DATABASE_URL: the user 'poor_")
        statement = said.rpartition("owner: ")[2]
        assert statement.startswith(f"GRANT CREATE ON {what}")
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(statement.encode())
    check_database(load_settings({"DATABASE_URL": poor}))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"APP_DB_PASSWORD": "hunter2"}, "APP_DB_USER or APP_DB_PASSWORD: "),
        ({"APP_DB_USER": "nobody"}, "APP_DB_USER or APP_DB_PASSWORD: "),
        ({"APP_DB_NAME": "nowhere"}, "APP_DB_NAME: "),
        ({"APP_DB_PORT": "1"}, "APP_DB_HOST or APP_DB_PORT: "),
    ],
)
def test_each_wrong_part_is_named(database_url: str, change: dict[str, str], named: str) -> None:
    """Of five variables, the one that PostgreSQL objects to is named."""
    parts = urlsplit(database_url)
    right = {
        "APP_DB_HOST": str(parts.hostname),
        "APP_DB_PORT": str(parts.port),
        "APP_DB_NAME": parts.path.lstrip("/"),
        "APP_DB_USER": str(parts.username),
        "APP_DB_PASSWORD": str(parts.password),
    }
    check_database(load_settings(right))
    assert _complaint(**right | change).startswith(named)


@pytest.mark.parametrize(
    ("user", "said"),
    [("", "it asks for a password, and none was given"), (":hunter2@", "invalid username-password pair")],
)
def test_a_redis_that_refuses_names_the_variables(redis: str, user: str, said: str) -> None:
    """Without a password, or with a wrong one."""
    parts = urlsplit(redis)
    url = f"redis://{user}{parts.hostname}:{parts.port}/0"
    with pytest.raises(SettingsError, match=f"^REDIS_URL or REDIS_PASSWORD: {said}") as caught:
        check_redis(load_settings({"REDIS_URL": url}))
    assert "hunter2" not in caught.value.message
