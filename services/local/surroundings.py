"""What a stack runs on: the servers that were given, the ones it starts itself, its ports and its secrets."""

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import msgspec

from common.errors import SettingsError
from common.settings import SECRETS, Settings, load_settings
from services.local.home import Home
from services.local.servers import DATABASE, LOOPBACK, Postgres, Redis, ServerError, free_port, place_postgres

FLOWER_USER = "rookery"
ANYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104 - compared with, not bound to


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is decided before the first process starts."""

    settings: Settings
    postgres: Postgres | None  # None: one was given
    redis: Redis | None
    environment: dict[str, str]  # of the stack's processes: no secret of ours, only the names of files
    notes: tuple[str, ...]

    @property
    def host(self) -> str:
        """Where the stack is reached from this machine."""
        return LOOPBACK if self.settings.bind_host in ANYWHERE else self.settings.bind_host

    @property
    def console_url(self) -> str:
        """Where the console is."""
        return f"http://{self.host}:{self.settings.console_port}"


def read_environment(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the process, and below them those of `.env` in the folder it was called in."""
    file = folder / ".env"
    if not file.exists():
        return dict(environment)
    from dotenv import dotenv_values

    written = {name: value for name, value in dotenv_values(file).items() if value}
    return {**written, **{name: value for name, value in environment.items() if value}}


def with_instance(environment: Mapping[str, str], home: Home) -> dict[str, str]:
    """The variables, completed by what the instance keeps: how the other commands find a running stack."""
    complete = dict(environment)
    if not (environment.get("DATABASE_URL") or environment.get("DATABASE_URL_FILE") or environment.get("APP_DB_HOST")):
        _add_file(complete, "DATABASE_URL", home.secret("database_url"))
    for variable, name in (("REDIS_URL", "redis_url"), ("ROOKERY_SIGNING_KEY", "signing_key")):
        if not (environment.get(variable) or environment.get(f"{variable}_FILE")):
            _add_file(complete, variable, home.secret(name))
    addresses = home.read_addresses()
    if addresses is not None:
        found = {"INFERENCE_URL": addresses.api, "FLOWER_URL": addresses.flower, "SHARED_DIR": addresses.shared_dir}
        complete = {**found, **{name: value for name, value in complete.items() if value}}
    return complete


def _add_file(environment: dict[str, str], variable: str, path: Path) -> None:
    if path.exists():
        environment[f"{variable}_FILE"] = str(path)


def look_around(environment: Mapping[str, str], home: Home) -> Surroundings:
    """Decides what is used and what is started, makes the secrets that are missing, and picks the ports.

    Raises SettingsError in one line that names the variable.
    """
    settings = load_settings(environment)
    half = [name for name in environment if name.startswith("APP_DB_") and environment[name]]
    if half and not settings.app_db_host and not settings.database_url:
        raise SettingsError(f"APP_DB_HOST: is not set, though {half[0]} is; give the host, or DATABASE_URL")
    if not settings.datasets_dir.is_dir():
        raise SettingsError(
            f"SHARED_DIR: {settings.shared.resolve()} has no folder `datasets`; "
            "give the folder with the data set specs, or start where `shared` lies"
        )
    ports = _Ports(settings, environment)
    postgres = redis = None
    if not (settings.database_url or settings.app_db_host):
        postgres = place_postgres(home.path, ports.take("POSTGRES_PORT"))
        settings = msgspec.structs.replace(settings, database_url=postgres.url(home.make_secret("database_password")))
    if not settings.redis_url:
        redis = Redis(folder=home.path / "redis", port=ports.take("REDIS_PORT"))
        settings = msgspec.structs.replace(settings, redis_url=redis.url(home.make_secret("redis_password")))
    host = LOOPBACK if settings.bind_host in ANYWHERE else settings.bind_host
    inference, console, flower = (ports.take(name) for name in ("INFERENCE_PORT", "CONSOLE_PORT", "FLOWER_PORT"))
    settings = msgspec.structs.replace(
        settings,
        rookery_home=str(home.path),
        shared_dir=str(settings.shared.resolve()),
        inference_port=inference,
        console_port=console,
        flower_port=flower,
        inference_url=f"http://{host}:{inference}",
        flower_url=f"http://{host}:{flower}",
        rookery_signing_key=settings.rookery_signing_key or home.make_secret("signing_key", 32),
    )
    _keep_addresses(home, settings)
    return Surroundings(
        settings=settings,
        postgres=postgres,
        redis=redis,
        environment=_environment(environment, settings, home),
        notes=tuple(ports.notes),
    )


class _Ports:
    """The ports of one stack. One that was asked for is used or refused; a default gives way to the next free one."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._taken: list[int] = []
        self.notes: list[str] = []

    def take(self, variable: str) -> int:
        wanted: int = getattr(self._settings, variable.lower())
        ours = variable in {"POSTGRES_PORT", "REDIS_PORT"}
        host = LOOPBACK if ours or not self._settings.bind_host else self._settings.bind_host
        try:
            found = free_port(wanted, self._taken, host=host)
        except OSError as error:
            raise SettingsError(f"BIND_HOST: cannot listen at {host!r}: {error.strerror or error}") from error
        if found != wanted and wanted:
            if self._environment.get(variable):
                raise SettingsError(f"{variable}: port {wanted} is in use or not allowed; choose another")
            self.notes.append(f"port {wanted} is taken, so {variable} is {found}")
        self._taken.append(found)
        return found


def _keep_addresses(home: Home, settings: Settings) -> None:
    """Writes what the processes and the other commands read: addresses that hold passwords, and libpq's file."""
    url = settings.database("")
    home.write_secret("database_url", url)
    home.write_secret("redis_url", settings.redis)
    parts = urlsplit(url)
    fields = (parts.hostname or "*", str(parts.port or 5432), parts.path.lstrip("/") or "*", parts.username or "*")
    words = [unquote(field) for field in fields] + [unquote(parts.password or "")]
    home.write_secret("pgpass", ":".join(re.sub(r"([\\:])", r"\\\1", word) for word in words))
    home.make_secret("flower_password")


def _environment(environment: Mapping[str, str], settings: Settings, home: Home) -> dict[str, str]:
    """The variables of the stack's processes. Our secrets come by file, so that no listing of processes shows them."""
    hidden = {"DATABASE_URL", "REDIS_URL", "REDIS_PASSWORD", "DATABASE_URL_FILE", "REDIS_URL_FILE"}
    passed = {
        name: value for name, value in environment.items() if name not in hidden and not name.startswith("APP_DB_")
    }
    if not (passed.get("ROOKERY_SIGNING_KEY") or passed.get("ROOKERY_SIGNING_KEY_FILE")):
        passed["ROOKERY_SIGNING_KEY_FILE"] = str(home.secret("signing_key"))
    plain = {
        name.upper(): str(getattr(settings, name))
        for name in settings.__struct_fields__
        if name not in SECRETS and not name.startswith("app_db") and name.upper() not in {"LOG_FORMAT", "READY_FILE"}
    }
    return (
        passed
        | plain
        | {
            "DATABASE_URL_FILE": str(home.secret("database_url")),
            "REDIS_URL_FILE": str(home.secret("redis_url")),
            "LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            # Each training has a process; threads of numerical libraries beside would only fight for the cores.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MPLBACKEND": "Agg",
            # glibc gives memory back to the system sooner, and keeps fewer pools of it per process.
            "MALLOC_ARENA_MAX": "2",
            "MALLOC_TRIM_THRESHOLD_": "131072",
        }
    )


def check_database(settings: Settings, *, seconds: int = 5) -> None:
    """Connects once. Raises SettingsError that names the variable to change, or says what the user may not do."""
    import psycopg

    try:
        with psycopg.connect(settings.database(""), connect_timeout=seconds) as connection:
            row = connection.execute(_MISSING_RIGHTS).fetchone()
    except psycopg.OperationalError as error:
        raise SettingsError(_database_complaint(settings, str(error))) from error
    except psycopg.Error as error:
        raise SettingsError(f"{_named(settings, '')}: {_one_line(str(error))}") from error
    if row is not None:
        user, wanted = row
        raise SettingsError(
            f"{_named(settings, 'USER')}: the user {user!r} may not create what Rookery needs; "
            f"as the database's owner: {wanted}"
        )


# The right that the user lacks, as the statement that gives it; no row where all is well. Rookery's schemas are made by
# the first start, its tables of data sets lie in `public`.
_MISSING_RIGHTS = """
SELECT current_user, format('GRANT CREATE ON %s TO %I', place, current_user)
FROM (VALUES
    (format('DATABASE %I', current_database()), has_database_privilege(current_database(), 'CREATE')
        OR to_regnamespace('rookery') IS NOT NULL AND to_regnamespace('snapshots') IS NOT NULL),
    ('SCHEMA public', coalesce(has_schema_privilege(to_regnamespace('public'), 'CREATE'), true))
) AS rights (place, held)
WHERE NOT held
LIMIT 1
"""


def _database_complaint(settings: Settings, message: str) -> str:
    """Names the variable that PostgreSQL's message is about, as far as its English words tell."""
    if "authentication failed" in message or "no password supplied" in message or "role" in message:
        part = "USER or APP_DB_PASSWORD"
    elif "does not exist" in message and "database" in message:
        part = "NAME"
    else:
        part = "HOST or APP_DB_PORT"
    return f"{_named(settings, part)}: {_one_line(message)}"


def _named(settings: Settings, part: str) -> str:
    return "DATABASE_URL" if settings.database_url or not part else f"APP_DB_{part}"


def _one_line(message: str) -> str:
    """What an error says, in one line and without a password; a hint in the form of a question is left out."""
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.strip().endswith("?")]
    return re.sub(r"//[^@/]*@", "//***@", "; ".join(lines) or "no reason given")


def check_redis(settings: Settings, *, seconds: int = 5) -> str | None:
    """Asks once. Returns a warning or None; raises SettingsError that names the variable to change."""
    import redis

    url = settings.redis
    number = urlsplit(url).path.strip("/")
    if number and not number.isdigit():
        raise SettingsError(
            f"REDIS_URL: ends with {number!r}, expected the number of a database, as in redis://host:6379/0"
        )
    try:
        with redis.Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds) as client:
            client.ping()
            policy = client.info("memory").get("maxmemory_policy")
    except redis.AuthenticationError as error:
        said = _one_line(str(error)) if urlsplit(url).password else "it asks for a password, and none was given"
        raise SettingsError(f"REDIS_URL or REDIS_PASSWORD: {said}") from error
    except (redis.RedisError, OSError, ValueError) as error:
        raise SettingsError(f"REDIS_URL: {_one_line(str(error))}") from error
    if policy not in {None, "noeviction"}:
        return f"Redis evicts entries when it is full (maxmemory-policy {policy}); set noeviction"
    return None


def psql_url(settings: Settings) -> str:
    """The database's address without its password, for a command line."""
    parts = urlsplit(settings.database(""))
    user = f"{quote(unquote(parts.username), safe='')}@" if parts.username else ""
    return parts._replace(netloc=user + parts.netloc.rpartition("@")[2]).geturl()


def tool_environment(home: Home, settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables with which psql and redis-cli find their passwords."""
    password = unquote(urlsplit(settings.redis).password or "")
    extra = {"PGPASSFILE": str(home.secret("pgpass")), "PGAPPNAME": "rookery psql"}
    return {**environment, **extra, **({"REDISCLI_AUTH": password} if password else {})}


def make_database(around: Surroundings) -> None:
    """Creates the embedded server's database where there is none yet."""
    import psycopg
    from psycopg import sql

    url = around.settings.database("").rpartition("/")[0] + "/postgres"
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def wait_for_database(url: str, runs: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Waits until a server that was just started takes a connection. Raises ServerError where it ends or is late."""
    import psycopg

    deadline = time.monotonic() + seconds
    while runs() and time.monotonic() < deadline:
        try:
            psycopg.connect(url, connect_timeout=3).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise ServerError("PostgreSQL did not start; see logs/postgres.log")
