"""The folder of one instance, `ROOKERY_HOME`: secrets, logs, data of the embedded servers, and who runs.

secrets/        0700: passwords, the signing key, addresses that hold a password, a pgpass file (0600 each)
logs/           one file per process
run/            lock, processes, addresses of the running stack
postgres/ sockets/ redis/ flower/
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec

from common.errors import ConflictError
from services.local import processes
from services.local.processes import Identity

EMBEDDED, EXISTING = "embedded", "existing"


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where the running stack is reached; written by `up`, read by the other commands. Holds no secret."""

    api: str
    console: str
    flower: str
    shared_dir: str
    postgres: str  # EMBEDDED or EXISTING
    redis: str


class Home(msgspec.Struct, frozen=True):
    """An instance's folder."""

    path: Path

    @classmethod
    def at(cls, path: str | Path) -> "Home":
        """The folder, absolute. It need not exist yet."""
        return cls(Path(path).expanduser().resolve())

    def make(self) -> None:
        """Creates what is missing. A folder that existed keeps its mode; ours can be walked through, but not read."""
        if not self.path.exists():
            self.path.mkdir(parents=True)
            self.path.chmod(0o755)
        for name, mode in (("secrets", 0o700), ("logs", 0o750), ("run", 0o700), ("flower", 0o700)):
            folder = self.path / name
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)

    @property
    def logs(self) -> Path:
        """The folder of the log files."""
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """The folder of what describes the running stack."""
        return self.path / "run"

    def secret(self, name: str) -> Path:
        """The file of a secret."""
        return self.path / "secrets" / name

    def read_secret(self, name: str) -> str | None:
        """A secret, or None where it was never made."""
        try:
            return self.secret(name).read_text().strip() or None
        except FileNotFoundError:
            return None

    def write_secret(self, name: str, value: str) -> Path:
        """Keeps a secret, readable by its owner alone, replaced as a whole."""
        path = self.secret(name)
        fresh = path.with_name(f".{name}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(value + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return path

    def make_secret(self, name: str, n_bytes: int = 24) -> str:
        """A secret made once, at random, and kept."""
        value = self.read_secret(name)
        if value is None:
            value = secrets.token_hex(n_bytes)
            self.write_secret(name, value)
        return value

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Holds the instance, so that no second stack starts on it. Raises ConflictError where one runs."""
        with (self.run / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                running = self.supervisor()
                who = f" (pid {running.pid})" if running else ""
                raise ConflictError(
                    f"a stack already runs on {self.path}{who}: `rookery status` shows it, `rookery down` ends it"
                ) from error
            processes.write_identities(self.run / "supervisor.json", [processes.myself("supervisor")])
            try:
                yield
            finally:
                (self.run / "supervisor.json").unlink(missing_ok=True)

    def supervisor(self) -> Identity | None:
        """The process that runs the stack, where one does."""
        for identity in processes.read_identities(self.run / "supervisor.json"):
            if identity.alive:
                return identity
        return None

    @property
    def processes_file(self) -> Path:
        """Where the processes of the stack are recorded."""
        return self.run / "processes.json"

    def write_addresses(self, addresses: Addresses) -> None:
        """Says where the running stack is reached."""
        fresh = self.run / "addresses.json.new"
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(addresses)))
        fresh.replace(self.run / "addresses.json")

    def read_addresses(self) -> Addresses | None:
        """Where the stack is or was last reached; None where there was none."""
        try:
            return msgspec.json.decode((self.run / "addresses.json").read_bytes(), type=Addresses)
        except (OSError, msgspec.MsgspecError):
            return None
