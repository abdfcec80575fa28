"""The rows about snapshots: reserved, ready, dropped; and which one the tables in `public` are to show."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from common.database.tables import SNAPSHOTS_SCHEMA, exposures, snapshots
from common.features import Feature
from common.snapshots.names import snapshot_table


class Features(msgspec.Struct, frozen=True):
    """What preprocess fixed for a snapshot: the model's features in order, and the target."""

    features: tuple[Feature, ...]
    target: Feature

    @property
    def encoded(self) -> tuple[Feature, ...]:
        """In the order of the encoded table: numeric features, a regression's target, a classification's, the rest."""
        numeric = tuple(feature for feature in self.features if feature.kind == "numeric")
        categorical = tuple(feature for feature in self.features if feature.kind == "categorical")
        return (*numeric, self.target, *categorical)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `rookery.snapshots`."""

    dataset: str
    number: int
    state: str
    digest: str = ""
    spec_digest: str = ""
    fingerprint: dict[str, Any] | None = None
    libraries: dict[str, str] = {}
    rows: int = 0
    columns: list[dict[str, Any]] = []
    features: Features | None = None
    rows_kept: int = 0
    rows_dropped: dict[str, int] = {}


_FIELDS = [snapshots.c[name] for name in Snapshot.__struct_fields__]


async def get_snapshot(connection: AsyncConnection, dataset: str, number: int) -> Snapshot | None:
    """One snapshot, whatever its state."""
    found = select(*_FIELDS).where(snapshots.c.dataset == dataset, snapshots.c.number == number)
    return _snapshot((await connection.execute(found)).mappings().first())


async def latest_snapshot(connection: AsyncConnection, dataset: str) -> Snapshot | None:
    """The newest snapshot that is ready."""
    found = (
        select(*_FIELDS)
        .where(snapshots.c.dataset == dataset, snapshots.c.state == "ready")
        .order_by(snapshots.c.number.desc())
        .limit(1)
    )
    return _snapshot((await connection.execute(found)).mappings().first())


def _snapshot(row: Any) -> Snapshot | None:
    if row is None:
        return None
    known = {str(name): value for name, value in row.items() if value is not None}
    return msgspec.convert(known, Snapshot)


async def reserve_snapshot(connection: AsyncConnection, dataset: str, *, event_id: UUID, run_id: UUID) -> int:
    """The number of the snapshot that an event loads; a retry of the event gets the same.

    The lock makes two events that reserve at once take turns.
    """
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('rookery number'), hashtext(:name))"), {"name": dataset}
    )
    own = select(snapshots.c.number).where(snapshots.c.event_id == event_id)
    number = await connection.scalar(own)
    if number is not None:
        return int(number)
    highest = await connection.scalar(select(func.max(snapshots.c.number)).where(snapshots.c.dataset == dataset))
    number = (highest or 0) + 1
    row = {"dataset": dataset, "number": number, "state": "loading", "event_id": event_id, "run_id": run_id}
    await connection.execute(insert(snapshots).values(row))
    return int(number)


async def forget_reservation(connection: AsyncConnection, dataset: str, event_id: UUID) -> None:
    """Gives back a number whose table was never kept."""
    await connection.execute(
        delete(snapshots).where(
            snapshots.c.dataset == dataset, snapshots.c.event_id == event_id, snapshots.c.state == "loading"
        )
    )


async def want(connection: AsyncConnection, table: str, dataset: str, number: int) -> None:
    """Has a table in `public` show a snapshot, from the commit on; never an older one than was decided before."""
    row = {"table_name": table, "dataset": dataset, "wanted": number}
    statement = insert(exposures).values(row)
    newer = exposures.c.wanted < statement.excluded.wanted
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[exposures.c.table_name],
            set_={"wanted": statement.excluded.wanted, "wanted_at": func.clock_timestamp()},
            where=newer,
        )
    )


async def update_snapshot(connection: AsyncConnection, dataset: str, number: int, **values: Any) -> None:
    """Writes columns of a snapshot's row."""
    await connection.execute(
        update(snapshots).where(snapshots.c.dataset == dataset, snapshots.c.number == number).values(**values)
    )


async def table_columns(connection: AsyncConnection, table: str, number: int) -> list[tuple[str, str]]:
    """Name and type of each column of a snapshot's table, in order; empty where there is no such table."""
    return await columns_of(connection, SNAPSHOTS_SCHEMA, snapshot_table(table, number))


async def columns_of(connection: AsyncConnection, schema: str, name: str) -> list[tuple[str, str]]:
    """Name and type of each column of any table, in order; empty where there is no such table."""
    found = await connection.execute(
        text(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
            "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = :schema AND c.relname = :name AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        ),
        {"schema": schema, "name": name},
    )
    return [(str(column), str(kind)) for column, kind in found]
