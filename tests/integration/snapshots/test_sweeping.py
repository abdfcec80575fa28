"""What becomes of snapshots that nobody needs any more."""

import json
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import text

from common.settings import Settings
from common.snapshots import expose, sweep_snapshots
from tests.integration.snapshots.conftest import Shelf


async def tables(shelf: Shelf) -> list[object]:
    """The snapshots' tables that exist."""
    return [
        name for (name,) in await shelf.run("SELECT tablename FROM pg_tables WHERE schemaname = 'snapshots' ORDER BY 1")
    ]


async def an_open_event(shelf: Shelf, snapshot: int) -> UUID:
    """An event about a snapshot that nobody has handled."""
    identity = uuid4()
    async with shelf.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO rookery.events (id, type, source, subject, dataset, correlationid, data, part_of_run)"
                " VALUES (:id, 'training.requested', 'test', 'd', 'd', :id, CAST(:data AS jsonb), true)"
            ),
            {"id": identity, "data": json.dumps({"dataset": "d", "snapshot": snapshot})},
        )
    return identity


async def test_a_snapshot_is_dropped_a_while_after_it_left(shelf: Shelf) -> None:
    """What is no longer shown stays for readers that are still in it, then goes."""
    await shelf.put(1)
    await expose(shelf.engine, "d")
    await shelf.put(2)
    await sweep_snapshots(shelf.engine)
    await sweep_snapshots(shelf.engine)
    assert await tables(shelf) == ["d_1", "d_2"]
    await sweep_snapshots(shelf.engine, kept_s=0)
    assert await tables(shelf) == ["d_2"]
    assert await shelf.run("SELECT number, state FROM rookery.snapshots ORDER BY 1") == [(1, "dropped"), (2, "ready")]


async def test_a_snapshot_that_an_open_run_needs_stays(shelf: Shelf) -> None:
    """While an event about it is open it is kept, however long ago it left."""
    await shelf.put(1)
    event = await an_open_event(shelf, 1)
    await shelf.put(2)
    await expose(shelf.engine, "d")
    await sweep_snapshots(shelf.engine, kept_s=0)
    await sweep_snapshots(shelf.engine, kept_s=0)
    assert await tables(shelf) == ["d_1", "d_2"]
    await shelf.run(f"UPDATE rookery.events SET handled_at = now() WHERE id = '{event}'")
    await sweep_snapshots(shelf.engine, kept_s=0)
    assert await tables(shelf) == ["d_2"]


async def test_a_snapshot_that_is_still_shown_stays(shelf: Shelf, postgres: Settings) -> None:
    """While a reader holds the swap up, the snapshot it reads is not dropped."""
    await shelf.put(1)
    await expose(shelf.engine, "d")
    reader = await asyncpg.connect(postgres.database(""))
    async with reader.transaction():
        await reader.fetchval("SELECT count(*) FROM d")
        await shelf.put(2)
        await sweep_snapshots(shelf.engine, kept_s=0)
        await sweep_snapshots(shelf.engine, kept_s=0)
        assert await tables(shelf) == ["d_1", "d_2"]
    await reader.close()


async def test_a_reader_still_inside_puts_the_drop_off(shelf: Shelf, postgres: Settings) -> None:
    """A transaction that reads a snapshot by its own name keeps it; the next round drops it."""
    await shelf.put(1)
    await shelf.put(2)
    await expose(shelf.engine, "d")
    reader = await asyncpg.connect(postgres.database(""))
    async with reader.transaction():
        await reader.fetchval("SELECT count(*) FROM snapshots.d_1")
        await sweep_snapshots(shelf.engine, kept_s=0)
        await sweep_snapshots(shelf.engine, kept_s=0)
        assert await tables(shelf) == ["d_1", "d_2"]
    await reader.close()
    await sweep_snapshots(shelf.engine, kept_s=0)
    assert await tables(shelf) == ["d_2"]


async def test_what_a_crashed_load_left_is_cleared(shelf: Shelf) -> None:
    """A reservation whose event is closed goes with its table, and so does a table that no row knows."""
    await shelf.put(1)
    await shelf.put(2)
    await shelf.put(3)
    await shelf.run("UPDATE rookery.snapshots SET state = 'loading' WHERE number = 1")
    await shelf.run("DELETE FROM rookery.snapshots WHERE number = 2")
    await sweep_snapshots(shelf.engine)
    assert await tables(shelf) == ["d_3"]
    assert await shelf.run("SELECT number FROM rookery.snapshots") == [(3,)]


async def test_a_load_under_way_is_left_alone(shelf: Shelf) -> None:
    """A reservation whose event is open keeps its table."""
    await shelf.put(1)
    event = await an_open_event(shelf, 0)
    await shelf.run(f"UPDATE rookery.snapshots SET state = 'loading', event_id = '{event}'")
    await sweep_snapshots(shelf.engine, kept_s=0)
    assert await tables(shelf) == ["d_1"]


async def test_somebody_elses_table_is_no_orphan(shelf: Shelf) -> None:
    """A table in the schema that was not made here is never dropped."""
    await shelf.run("CREATE TABLE snapshots.notes (t text)")
    await sweep_snapshots(shelf.engine)
    assert await tables(shelf) == ["notes"]
