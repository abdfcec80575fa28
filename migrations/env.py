"""Runs the migrations: `alembic upgrade head`. A composition root: reads the environment, opens the connection."""

import os

from alembic import context
from sqlalchemy import Connection, create_engine, text

from common.database import tables
from common.settings import load_settings

# Any constant will do; two `alembic upgrade` at once then wait for each other.
_LOCK = 0x726F6F6B


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=tables.metadata,
        version_table_schema=tables.SCHEMA,
        include_schemas=True,
        include_name=lambda name, kind, _parents: kind != "schema" or name == tables.SCHEMA,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    """Connects, makes the schemas, and migrates under a lock."""
    # A user called like our schema would have it for default, and no name would then be told with its schema.
    options = {"options": "-c search_path=public"}
    engine = create_engine(load_settings(os.environ).database("psycopg"), connect_args=options)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        for schema in (tables.SCHEMA, tables.SNAPSHOTS_SCHEMA):
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
        connection.commit()
        _migrate(connection)
        connection.commit()
    engine.dispose()


main()
