"""How a snapshot's table is made: created, filled and closed in one transaction, and never changed afterwards.

`COPY ... FREEZE` marks the rows as visible to everybody, so that a REPEATABLE READ reader that began before (such as
`pg_dump`) sees them when the table is exposed. It asks that the table was created in the same transaction.

Rows are written by one writer into a new table, so their order in the file is the order of the source, and reading
keeps it (see `reading`); there is no column for it.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Literal

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from common.database.tables import SNAPSHOTS_SCHEMA
from common.snapshots.names import literal, qualified, quote, snapshot_table

REFUSAL = "refuse_change"
TRIGGER = "rookery_read_only"


class Column(msgspec.Struct, frozen=True):
    """A column of a snapshot, and its type in PostgreSQL."""

    name: str
    type: Literal["double precision", "text", "smallint"]


async def create_snapshot_table(
    connection: AsyncConnection, table: str, number: int, columns: Iterable[Column]
) -> None:
    """Creates the empty table of a snapshot; what a crashed attempt left under its name goes.

    Vacuum finds nothing to do in a frozen table, and would only stand in the way of a swap.
    """
    name = qualified(table, number)
    listing = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
    await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    await connection.exec_driver_sql(f"CREATE TABLE {name} ({listing}) WITH (autovacuum_enabled = false)")


async def create_snapshot_table_as(connection: AsyncConnection, table: str, number: int, query: str) -> None:
    """Creates and fills the table of a snapshot from a query."""
    name = qualified(table, number)
    await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    await connection.exec_driver_sql(f"CREATE TABLE {name} WITH (autovacuum_enabled = false) AS {query}")


async def copy_rows(
    connection: AsyncConnection,
    table: str,
    number: int,
    source: AsyncIterator[bytes | memoryview],
    *,
    format: Literal["csv", "binary"],  # noqa: A002 - the option's name in COPY
) -> int:
    """Streams rows into a table created in this transaction; returns how many."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None  # noqa: S101 - for the type checker: a connection in use has one
    status: str = await driver.copy_to_table(
        snapshot_table(table, number), schema_name=SNAPSHOTS_SCHEMA, source=source, format=format, freeze=True
    )
    return int(status.rpartition(" ")[2])


async def close_snapshot_table(connection: AsyncConnection, table: str, number: int) -> None:
    """Refuses any later change of the table's rows."""
    await refuse_changes(connection, qualified(table, number))


async def refuse_changes(connection: AsyncConnection, name: str) -> None:
    """A trigger that refuses INSERT, UPDATE, DELETE and TRUNCATE on a table, with a message that says what to do."""
    await _refusal(connection)
    await connection.exec_driver_sql(
        f"CREATE TRIGGER {TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {name} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {SNAPSHOTS_SCHEMA}.{REFUSAL}()",
    )


async def _refusal(connection: AsyncConnection) -> None:
    """The trigger's function, made once; the lock keeps two connections from making it at the same time."""
    function = f"{SNAPSHOTS_SCHEMA}.{REFUSAL}()"
    known = "SELECT to_regprocedure(:function) IS NOT NULL"
    if await connection.scalar(text(known), {"function": function}):
        return
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('rookery refusal'))"))
    if await connection.scalar(text(known), {"function": function}):
        return
    message = literal("%.% shows a snapshot that cannot be changed: change the source of the data set instead")
    await connection.exec_driver_sql(
        f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION {message}, TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'feature_not_supported'; "
        "END $$",
    )
