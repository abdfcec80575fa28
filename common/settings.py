"""Every setting, in one frozen object that is built from a mapping: the environment, read by a composition root.

The name in the environment is the field's name in capitals. A secret may also come from a file, named by the same
variable with `_FILE`. An empty value counts as not set.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from msgspec import Meta

from common.errors import SettingsError

Port = Annotated[int, Meta(ge=0, le=65535)]
SECRETS = (
    "app_db_password",
    "redis_password",
    "database_url",
    "redis_url",
    "rookery_signing_key",
    "inference_api_keys",
    "console_token",
)


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """What a process needs to know of its surroundings. `repr` shows no secret."""

    rookery_home: Annotated[
        str, Meta(description="Folder of this instance: secrets, logs, the embedded servers' data.")
    ] = ".rookery"
    shared_dir: Annotated[str, Meta(description="Folder shared by all services: data set specs, data, models.")] = (
        "shared"
    )
    bind_host: Annotated[str, Meta(description="Address that inference, console and Flower listen on.")] = "127.0.0.1"
    inference_port: Annotated[Port, Meta(description="Port of the prediction API.")] = 8000
    console_port: Annotated[Port, Meta(description="Port of the console.")] = 8080
    flower_port: Annotated[Port, Meta(description="Port of Flower.")] = 5555
    redis_port: Annotated[Port, Meta(description="Port of the embedded Redis.")] = 6379
    postgres_port: Annotated[Port, Meta(description="Port of the embedded PostgreSQL.")] = 5432

    database_url: Annotated[
        str,
        Meta(description="An existing PostgreSQL, as postgresql://user:password@host:port/name. Wins over APP_DB_*."),
    ] = ""
    app_db_host: Annotated[str, Meta(description="Host of an existing PostgreSQL.")] = ""
    app_db_port: Annotated[Port, Meta(description="Its port.")] = 5432
    app_db_name: Annotated[str, Meta(description="Its database.")] = "rookery"
    app_db_user: Annotated[str, Meta(description="Its user.")] = "rookery"
    app_db_password: Annotated[str, Meta(description="Its password.")] = ""
    redis_url: Annotated[str, Meta(description="An existing Redis, as redis://:password@host:port/0.")] = ""
    redis_password: Annotated[str, Meta(description="Password put into REDIS_URL where that has none.")] = ""

    rookery_signing_key: Annotated[
        str,
        Meta(description="Keys of the model versions (HMAC-SHA256), separated by commas: all verify, the first signs."),
    ] = ""

    inference_url: Annotated[str, Meta(description="Where console and command line find the prediction API.")] = (
        "http://127.0.0.1:8000"
    )
    flower_url: Annotated[str, Meta(description="Where the console links to Flower.")] = "http://127.0.0.1:5555"
    inference_workers: Annotated[
        int, Meta(ge=1, le=256, description="Processes of the prediction API, sharing one port.")
    ] = 1
    inference_figures_dir: Annotated[
        str,
        Meta(
            description="Folder where prediction processes that were started apart but share one port (containers of"
            " one network) leave their counts for each other; where it is set, the port is shared."
        ),
    ] = ""
    inference_api_keys: Annotated[
        str, Meta(description="Keys that callers of the prediction API must send, separated by commas; none: open.")
    ] = ""
    inference_cors_origins: Annotated[
        str, Meta(description="Origins allowed to call the prediction API from a page, separated by commas.")
    ] = ""
    inference_poll_s: Annotated[float, Meta(gt=0, description="Seconds between two looks at the model folder.")] = 2.0
    inference_watch: Annotated[
        Literal["auto", "native", "polling", "off"],
        Meta(description="How the model folder is watched besides: native events, polling (for NFS), or not."),
    ] = "auto"
    console_token: Annotated[
        str,
        Meta(
            description="Token that the console asks for before it changes anything; none: any same-origin request may."
        ),
    ] = ""

    lease_s: Annotated[
        float, Meta(ge=1, description="Seconds a worker may be silent before its event goes to another.")
    ] = 15.0
    sweep_interval_s: Annotated[float, Meta(gt=0, description="Seconds between two looks for events that are due.")] = (
        1.0
    )
    max_attempts: Annotated[int, Meta(ge=1, description="Attempts of an event before it is a dead letter.")] = 5
    retry_base_s: Annotated[
        float, Meta(gt=0, description="Upper bound of the first wait before a retry; it doubles with each.")
    ] = 1.0
    retry_cap_s: Annotated[float, Meta(gt=0, description="Upper bound of any wait before a retry.")] = 300.0
    work_time_limit_s: Annotated[
        int, Meta(ge=1, description="Seconds after which an ingest or a preprocess is killed, as one that hangs.")
    ] = 7200
    train_time_limit_s: Annotated[int, Meta(ge=1, description="Seconds after which a training is killed.")] = 3600
    train_processes: Annotated[int, Meta(ge=1, description="Processes of the train worker.")] = 2
    train_backend: Annotated[
        Literal["", "loky", "dask"],
        Meta(
            description="Where a grid is searched: empty, in the train processes, which share its slices; `loky`, in as"
            " many processes as the machine has cores; `dask`, on a Dask cluster."
        ),
    ] = ""
    dask_address: Annotated[
        str, Meta(description="Scheduler of the Dask cluster, as tcp://host:8786, for TRAIN_BACKEND=dask.")
    ] = ""
    retention_days: Annotated[int, Meta(ge=1, description="Days that events, unchanged runs and logs are kept.")] = 7
    model_versions_kept: Annotated[
        int, Meta(ge=2, description="Versions kept of each model besides those live, pinned or held.")
    ] = 10

    ready_file: Annotated[
        str,
        Meta(description="File that a process touches whenever it has shown that it works; its age is its health."),
    ] = ""

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least severe level that is logged.")
    ] = "INFO"
    log_format: Annotated[
        Literal["auto", "json", "console"], Meta(description="JSON lines or readable text; auto: text on a terminal.")
    ] = "auto"

    def __repr__(self) -> str:
        """All fields, secrets masked."""
        parts = (
            f"{name}={'***' if name in SECRETS and getattr(self, name) else repr(getattr(self, name))}"
            for name in self.__struct_fields__
        )
        return f"Settings({', '.join(parts)})"

    @property
    def shared(self) -> Path:
        """The shared folder."""
        return Path(self.shared_dir)

    @property
    def datasets_dir(self) -> Path:
        """The folder of the data set specs."""
        return self.shared / "datasets"

    @property
    def data_dir(self) -> Path:
        """The folder of the data files."""
        return self.shared / "data"

    @property
    def models_dir(self) -> Path:
        """The folder of the model versions."""
        return self.shared / "models"

    def tell_ready(self) -> None:
        """Says to whoever started this process that it works now."""
        if self.ready_file:
            Path(self.ready_file).touch()

    @property
    def signing_keys(self) -> tuple[bytes, ...]:
        """The keys that verify; the first one signs. Raises SettingsError where there is none."""
        keys = tuple(key.strip().encode() for key in self.rookery_signing_key.split(",") if key.strip())
        if not keys:
            raise SettingsError("ROOKERY_SIGNING_KEY (or ROOKERY_SIGNING_KEY_FILE): is not set; `rookery up` makes one")
        return keys

    def database(self, driver: str) -> str:
        """The database's URL for a driver: `asyncpg`, `psycopg`, or none (`""`) for libpq's tools.

        Raises SettingsError where no database is set.
        """
        url = self.database_url
        if not url and self.app_db_host:
            user, password = quote(self.app_db_user, safe=""), quote(self.app_db_password, safe="")
            host = quote(self.app_db_host, safe="") if self.app_db_host.startswith("/") else self.app_db_host
            url = f"postgresql://{user}:{password}@{host}:{self.app_db_port}/{self.app_db_name}"
        if not url:
            raise SettingsError(
                "DATABASE_URL (or APP_DB_HOST): is not set; give postgresql://user:password@host:port/name"
            )
        scheme = "postgresql" + (f"+{driver}" if driver else "")
        return urlunsplit(urlsplit(url)._replace(scheme=scheme))

    @property
    def redis(self) -> str:
        """The URL of Redis with its password. Raises SettingsError where none is set."""
        if not self.redis_url:
            raise SettingsError("REDIS_URL: is not set; give redis://:password@host:port/0")
        parts = urlsplit(self.redis_url)
        if self.redis_password and not parts.password:
            host = parts.netloc.rpartition("@")[2]
            parts = parts._replace(netloc=f":{quote(self.redis_password, safe='')}@{host}")
        return urlunsplit(parts)


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Builds the settings from a mapping of variables; others in it are none of ours.

    Raises SettingsError in one line that names the variable, what it holds and what would be right.
    """
    known = {field.upper() for field in Settings.__struct_fields__}
    values = {name: environment[name] for name in known if environment.get(name)}
    for name in (secret.upper() for secret in SECRETS):
        path = environment.get(f"{name}_FILE")
        if path and name not in values:
            try:
                values[name] = Path(path).read_text().strip()
            except OSError as error:
                raise SettingsError(f"{name}_FILE: cannot read {path!r}: {error.strerror}") from error
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`")
        shown = "***" if name.lower() in SECRETS else repr(values.get(name, ""))
        raise SettingsError(f"{name}: {reason}, but it holds {shown}") from error
    if settings.train_backend == "dask" and not settings.dask_address:
        raise SettingsError("DASK_ADDRESS: is not set, but TRAIN_BACKEND is dask; give tcp://host:8786")
    _check_url("DATABASE_URL", settings.database_url, ("postgresql", "postgres"))
    _check_url("REDIS_URL", settings.redis_url, ("redis", "rediss", "unix"))
    return settings


def _check_url(name: str, url: str, schemes: tuple[str, ...]) -> None:
    """Raises SettingsError where a URL has the wrong scheme or a port that is no number."""
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme.partition("+")[0] not in schemes:
        raise SettingsError(f"{name}: begins with {parts.scheme or url!r}, expected {schemes[0]}://")
    try:
        _ = parts.port
    except ValueError as error:
        raise SettingsError(f"{name}: the port is no number from 0 to 65535") from error
