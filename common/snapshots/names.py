"""The names of a data set's tables, and names put safely into SQL."""

import hashlib

from common.database.tables import SNAPSHOTS_SCHEMA

PUBLIC = "public"
LONGEST_BYTES = 63
_DIGEST_LETTERS = 8


def quote(name: str) -> str:
    """The name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """The text as SQL takes it. Correct with `standard_conforming_strings`, on since PostgreSQL 9.1."""
    return "'" + value.replace("'", "''") + "'"


def exposed(dataset: str) -> str:
    """The table in `public` that shows a data set."""
    return dataset


def exposed_preprocessed(dataset: str) -> str:
    """The table in `public` that shows a data set encoded."""
    return f"{dataset}_preprocessed"


def snapshot_table(table: str, number: int) -> str:
    """The snapshot of a table in `public`, unquoted and without its schema."""
    return f"{table}_{number}"


def qualified(table: str, number: int) -> str:
    """The snapshot of a table in `public`, as SQL takes it."""
    return f"{SNAPSHOTS_SCHEMA}.{quote(snapshot_table(table, number))}"


def parent(table: str) -> str:
    """A table in `public`, as SQL takes it."""
    return f"{PUBLIC}.{quote(table)}"


def column_name(name: str) -> str:
    """The name a column has in a table: itself, or where PostgreSQL would cut it off, its beginning and a digest.

    Two long names that begin alike would otherwise be one.
    """
    encoded = name.encode()
    if len(encoded) <= LONGEST_BYTES:
        return name
    tail = "_" + hashlib.sha256(encoded).hexdigest()[:_DIGEST_LETTERS]
    return encoded[: LONGEST_BYTES - len(tail)].decode(errors="ignore") + tail
