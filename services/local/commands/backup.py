"""`rookery backup` and `restore`: database, models and signing key together, in one file.

The three belong together: the database says which version is live, the models are signed with the key.
"""

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.console import Console

from common.bundles.live import RAISE_GENERATIONS
from common.errors import ConflictError, DataError, RookeryError
from services.local import processes
from services.local.home import Home
from services.local.servers import POSTGRES_MAJOR, STOP_POSTGRES, postgres_binaries, server_account
from services.local.session import Session, open_session
from services.local.surroundings import (
    check_database,
    look_around,
    make_database,
    psql_url,
    tool_environment,
    wait_for_database,
)

FORMAT = 1
_DATABASE, _KEY, _ABOUT, _MODELS = "database.dump", "signing_key", "about.json", "models"


class _About(msgspec.Struct, frozen=True):
    format: int
    postgres: int


def backup_command(file: Path) -> None:
    """Writes the file, while the stack runs or an existing database answers; it holds the key, so it is 0600."""
    session = open_session()
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
            _add(archive, _ABOUT, msgspec.json.encode(_About(FORMAT, POSTGRES_MAJOR)))
            _add(archive, _KEY, ",".join(key.decode() for key in session.settings.signing_keys).encode())
            with tempfile.NamedTemporaryFile() as dump:
                _run(session, "pg_dump", "--format=custom", "--no-owner", f"--file={dump.name}")
                archive.add(dump.name, _DATABASE)
            # After the dump: a version that it knows is there by now, and one more does no harm.
            archive.add(session.settings.models_dir, _MODELS)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
    size = file.stat().st_size / 1e6
    Console().print(f"{file}: {size:.1f} MB; it holds the signing key, so keep it safe", highlight=False)


def restore_command(file: Path) -> None:
    """Makes the instance what the file holds. Raises ConflictError where a stack runs or there are models already."""
    session = open_session()
    home = session.home
    home.make()
    with home.held(), tarfile.open(file) as archive, tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder)
        archive.extractall(unpacked, filter="data")
        try:
            about = msgspec.json.decode((unpacked / _ABOUT).read_bytes(), type=_About)
        except (OSError, msgspec.MsgspecError) as error:
            raise DataError(f"{file}: is no backup of Rookery") from error
        if about.format != FORMAT:
            raise DataError(f"{file}: has format {about.format}, this Rookery reads {FORMAT}")
        models = session.settings.models_dir
        if models.is_dir() and any(path.name != ".gitkeep" for path in models.iterdir()):
            raise ConflictError(f"{models.resolve()} is not empty: move its content away first")
        home.write_secret("signing_key", (unpacked / _KEY).read_text())
        with _database(home, session) as ready:
            _run(ready, "pg_restore", "--clean", "--if-exists", "--no-owner", str(unpacked / _DATABASE))
            _run(ready, "psql", "--quiet", "--set=ON_ERROR_STOP=1", f"--command={RAISE_GENERATIONS}")
        shutil.copytree(unpacked / _MODELS, models, symlinks=True, dirs_exist_ok=True)
    Console().print(f"restored from {file}; `rookery up` goes on from there", highlight=False)


@contextmanager
def _database(home: Home, session: Session) -> Iterator[Session]:
    """The database to restore into, running: the embedded one is started for it."""
    around = look_around(session.environment, home)
    ready = msgspec.structs.replace(session, settings=around.settings)
    if around.postgres is None:
        check_database(around.settings)
        yield ready
        return
    password = home.make_secret("database_password")
    around.postgres.prepare(password)
    command = around.postgres.command()
    with (home.logs / "postgres.log").open("ab") as log:
        server = subprocess.Popen(command.argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **command.options())
    try:
        wait_for_database(around.postgres.url(password, "postgres"), lambda: server.poll() is None)
        make_database(around)
        yield ready
    finally:
        processes.end([processes.identify("postgres", server.pid)], first=STOP_POSTGRES)
        server.wait()


def _run(session: Session, tool: str, *arguments: str) -> None:
    """Runs one of PostgreSQL's programs on the instance's database. Raises RookeryError with its own words."""
    program = postgres_binaries(server_account()) / tool
    words = [str(program), f"--dbname={psql_url(session.settings)}", *arguments]
    environment = tool_environment(session.home, session.settings, session.environment)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RookeryError(f"{tool}: {(done.stderr or done.stdout).strip()}")


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))
