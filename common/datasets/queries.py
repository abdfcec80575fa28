"""Queries on somebody's database: the rows as they come, and what a failure means.

What the database says against the query is the query's fault and stays so until somebody corrects it. What it says of
itself (it is away, full, locked) may pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import CursorResult, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from common.datasets.spec import SqlSource
from common.errors import DataError, SettingsError, SourceUnavailableError

# Classes of SQLSTATE that say something of the server: connection, rollback, resources, in use, operator, system.
_OF_THE_SERVER = {"08", "40", "53", "55", "57", "58"}
# SQLite raises one class for a missing table, a locked file and a broken disk; these names are of the query or file.
_OF_SQLITE = {"SQLITE_ERROR", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_MISMATCH", "SQLITE_RANGE", "SQLITE_TOOBIG"}


@contextmanager
def open_query(dataset: str, source: SqlSource, data_dir: Path, *, buffered_rows: int) -> Iterator[CursorResult[Any]]:
    """The rows of a query, in a transaction of its own; the server keeps them, `buffered_rows` are held here.

    Raises SourceUnavailableError where the database does not answer, DataError where the query is wrong, SettingsError
    where the URL cannot be used; also for what goes wrong while the rows are read.
    """
    url = _url(dataset, source, data_dir)
    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise SettingsError(f"the URL of data set {dataset!r} cannot be used: {error}") from error
    try:
        with engine.connect() as connection:
            streaming = connection.execution_options(stream_results=True, max_row_buffer=buffered_rows)
            yield streaming.execute(text(source.query))
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        if is_of_the_query(error):
            raise DataError(f"the query fails: {reason}") from error
        raise SourceUnavailableError(f"the database of data set {dataset!r} does not answer: {reason}") from error
    finally:
        engine.dispose()


def is_of_the_query(error: DBAPIError) -> bool:
    """Whether the query is to blame, so that trying again is no use: by SQLSTATE, SQLite's name, or else the class."""
    if error.connection_invalidated:
        return False
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if isinstance(code, str):
        return code[:2] not in _OF_THE_SERVER
    name = getattr(error.orig, "sqlite_errorname", None)
    if isinstance(name, str):
        return name in _OF_SQLITE
    return type(error).__name__ not in {"OperationalError", "InterfaceError", "InternalError"}


def _url(dataset: str, source: SqlSource, data_dir: Path) -> URL:
    """The URL, a SQLite file's path being relative to the data folder as that of any file."""
    stated = source.url
    if source.url_file:
        path = data_dir / source.url_file
        try:
            stated = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise SettingsError(f"url_file {path} cannot be read: {reason}") from error
    try:
        url = make_url(stated)
    except ArgumentError as error:
        raise SettingsError(f"the URL of data set {dataset!r} cannot be used: {error}") from error
    database = url.database or ""
    if url.get_backend_name() != "sqlite" or not database or database.startswith((":memory:", "file:")):
        return url
    file = data_dir / database
    if not file.is_file():  # SQLite would make an empty one
        raise DataError(f"there is no file {database!r} in {data_dir}")
    return url.set(database=str(file))
