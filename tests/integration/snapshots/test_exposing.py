"""Which snapshot a table shows, seen by readers of every kind."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from common.settings import Settings
from common.snapshots import expose, sweep_snapshots
from common.snapshots.exposing import _holders
from common.snapshots.loading import Column, create_snapshot_table_as
from tests.integration.snapshots.conftest import NUMBER, Shelf

BOTH = (Column("v", "double precision"), Column("w", "text"))


async def test_a_table_shows_the_snapshot_that_is_wanted(shelf: Shelf) -> None:
    """The first exposure makes the table, later ones change what it shows, and repeating one changes nothing."""
    await shelf.put(1, rows=3)
    assert await expose(shelf.engine, "d")
    assert await shelf.run("SELECT count(*), max(v) FROM d") == [(3, 1.0)]
    await shelf.put(2, rows=5)
    assert await shelf.value("SELECT count(*) FROM d") == 3
    for _ in range(2):
        assert await expose(shelf.engine, "d")
        assert await shelf.run("SELECT count(*), max(v) FROM d") == [(5, 2.0)]
    assert await shelf.run("SELECT wanted, shown, waits_for FROM rookery.exposures") == [(2, 2, None)]


async def test_a_table_never_goes_back(shelf: Shelf) -> None:
    """A snapshot that is announced after a newer one is not shown."""
    await shelf.put(2)
    await expose(shelf.engine, "d")
    await shelf.put(1)
    await expose(shelf.engine, "d")
    assert await shelf.value("SELECT max(v) FROM d") == 2.0


async def test_readers_see_the_old_rows_or_the_new_and_never_none(shelf: Shelf, postgres: Settings) -> None:
    """While snapshots come, are shown and dropped, every read sees one of them whole."""
    await shelf.put(1, rows=500)
    await expose(shelf.engine, "d")
    seen: list[tuple[int, int]] = []
    done = asyncio.Event()

    async def read() -> None:
        connection = await asyncpg.connect(postgres.database(""))
        prepared = await connection.prepare("SELECT count(*), count(DISTINCT v) FROM d")
        while not done.is_set():
            row = await prepared.fetchrow()
            seen.append((row[0], row[1]))
        await connection.close()

    readers = [asyncio.ensure_future(read()) for _ in range(3)]
    for number in range(2, 12):
        await shelf.put(number, rows=500)
        while not await expose(shelf.engine, "d"):
            pass
        await sweep_snapshots(shelf.engine, kept_s=0.2)
    done.set()
    await asyncio.gather(*readers)
    assert len(seen) > 20
    assert set(seen) == {(500, 1)}
    assert await shelf.value("SELECT max(v) FROM d") == 11.0


async def test_a_reader_of_an_older_state_sees_the_new_rows(shelf: Shelf, postgres: Settings) -> None:
    """A REPEATABLE READ transaction that began before a snapshot was loaded (as pg_dump's) finds its rows."""
    await shelf.put(1)
    await expose(shelf.engine, "d")
    connection = await asyncpg.connect(postgres.database(""))
    async with connection.transaction(isolation="repeatable_read"):
        await connection.fetchval("SELECT count(*) FROM rookery.exposures")
        await shelf.put(2, rows=7)
        assert await expose(shelf.engine, "d")
        assert await connection.fetchval("SELECT count(*) FROM d") == 7
    await connection.close()


async def test_rows_that_a_reader_would_not_see_are_not_shown_to_it(shelf: Shelf, postgres: Settings) -> None:
    """A snapshot that is not frozen waits for a REPEATABLE READ transaction that began before it was made."""
    await shelf.put(1)
    await expose(shelf.engine, "d")
    reader = await asyncpg.connect(postgres.database(""), server_settings={"application_name": "pg_dump"})
    async with reader.transaction(isolation="repeatable_read"):
        await reader.fetchval("SELECT count(*) FROM rookery.exposures")
        await shelf.put(2)
        await shelf.run("DROP TABLE snapshots.d_2")
        async with shelf.engine.begin() as connection:
            await create_snapshot_table_as(connection, "d", 2, "SELECT 2::double precision AS v")
        assert not await expose(shelf.engine, "d")
        assert "(pg_dump, idle in transaction), which began before" in str(
            await shelf.value("SELECT waits_for FROM rookery.exposures")
        )
        assert await reader.fetchval("SELECT count(*) FROM d") == 3
    await reader.close()
    assert await expose(shelf.engine, "d")
    assert await shelf.value("SELECT count(*) FROM d") == 1


async def test_who_holds_a_table_is_found_after_the_fact(shelf: Shelf, postgres: Settings) -> None:
    """Where a swap gave up before it was asked whom it waits for, the holder of the table is told."""
    await shelf.put(1)
    await expose(shelf.engine, "d")
    reader = await asyncpg.connect(postgres.database(""), server_settings={"application_name": "monthly report"})
    async with reader.transaction():
        await reader.fetchval("SELECT count(*) FROM d")
        named = await _holders(shelf.engine, "d")
        assert named == f"pid {reader.get_server_pid()} (monthly report, idle in transaction)"
    await reader.close()
    assert await _holders(shelf.engine, "d") == ""


async def test_a_swap_that_waits_names_who_is_in_the_way(shelf: Shelf, postgres: Settings) -> None:
    """A reader's open transaction holds a swap up; its pid and application are told until the swap has succeeded."""
    await shelf.put(1)
    await expose(shelf.engine, "d")
    await shelf.put(2)
    reader = await asyncpg.connect(postgres.database(""), server_settings={"application_name": "monthly report"})
    async with reader.transaction():
        await reader.fetchval("SELECT count(*) FROM d")
        assert not await expose(shelf.engine, "d")
        waits_for = await shelf.value("SELECT waits_for FROM rookery.exposures")
        assert waits_for == f"pid {reader.get_server_pid()} (monthly report, idle in transaction)"
        assert await reader.fetchval("SELECT max(v) FROM d") == 1.0
    await reader.close()
    await sweep_snapshots(shelf.engine)
    assert await shelf.run("SELECT shown, waits_for FROM rookery.exposures") == [(2, None)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {} VALUES (1)",
        "UPDATE {} SET v = 1",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "COPY {} FROM PROGRAM 'echo 1'",
    ],
)
@pytest.mark.parametrize("table", ["d", "snapshots.d_1"])
async def test_what_is_shown_cannot_be_changed(shelf: Shelf, statement: str, table: str) -> None:
    """Every change of rows is refused with a sentence that says what to do instead."""
    await shelf.put(1)
    await expose(shelf.engine, "d")
    with pytest.raises(DBAPIError, match="change the source of the data set instead"):
        await shelf.run(statement.format(table))
    assert await shelf.value("SELECT count(*) FROM d") == 3


async def test_columns_follow_the_snapshot_and_grants_stay(shelf: Shelf) -> None:
    """A column of another type, a new one and one gone are carried over into the same table."""
    await shelf.put(1, columns=BOTH)
    await expose(shelf.engine, "d")
    await shelf.run("CREATE ROLE reader_of_d")
    try:
        await shelf.run("GRANT SELECT ON d TO reader_of_d")
        await shelf.put(2, columns=(Column("u", "text"), Column("v", "text"), Column("x", "smallint")))
        assert await expose(shelf.engine, "d")
        assert await shelf.run("SELECT * FROM d LIMIT 1") == [("2", "2", 2)]
        async with shelf.engine.begin() as connection:
            found = await connection.execute(text("SELECT * FROM d"))
            assert list(found.keys()) == ["u", "v", "x"]
        assert await shelf.value("SELECT has_table_privilege('reader_of_d', 'd', 'SELECT')")
    finally:
        await shelf.run("DROP OWNED BY reader_of_d")
        await shelf.run("DROP ROLE reader_of_d")


async def test_columns_may_change_for_ever(shelf: Shelf) -> None:
    """PostgreSQL counts dropped columns too: at 1,600 the table is made anew, and its grants stay."""
    await shelf.run("CREATE ROLE reader_of_d")
    try:
        for number in range(1, 5):
            wide = tuple(Column(f"c{number}_{at}", "smallint") for at in range(700))
            await shelf.put(number, columns=wide)
            assert await expose(shelf.engine, "d")
            assert await shelf.value(f"SELECT c{number}_699 FROM d LIMIT 1") == number
            await shelf.run("GRANT SELECT ON d TO reader_of_d" if number == 1 else "SELECT 1")
        assert await shelf.value("SELECT has_table_privilege('reader_of_d', 'd', 'SELECT')")
        with pytest.raises(DBAPIError, match="change the source"):
            await shelf.run("DELETE FROM d")
    finally:
        await shelf.run("DROP OWNED BY reader_of_d")
        await shelf.run("DROP ROLE reader_of_d")


async def test_a_view_on_a_column_of_another_type_is_told(shelf: Shelf) -> None:
    """A user's view that needs the old type keeps the old snapshot shown, and is named."""
    await shelf.put(1)
    await expose(shelf.engine, "d")
    await shelf.run("CREATE VIEW of_somebody AS SELECT v FROM d")
    await shelf.put(2, columns=(Column("v", "text"),))
    assert not await expose(shelf.engine, "d")
    assert "of_somebody" in str(await shelf.value("SELECT waits_for FROM rookery.exposures"))
    assert await shelf.value("SELECT max(v) FROM of_somebody") == 1.0


async def test_a_view_on_a_column_that_stays_is_no_obstacle(shelf: Shelf) -> None:
    """A new column before one that a view uses is added all the same, if need be at the end."""
    await shelf.put(1)
    await expose(shelf.engine, "d")
    await shelf.run("CREATE VIEW of_somebody AS SELECT v FROM d")
    await shelf.put(2, columns=(Column("u", "text"), NUMBER))
    assert await expose(shelf.engine, "d")
    assert await shelf.value("SELECT max(v) FROM of_somebody") == 2.0
    assert await shelf.value("SELECT max(u) FROM d") == "2"


async def test_a_table_of_somebody_else_is_left_alone(shelf: Shelf) -> None:
    """A table of that name which was there before is neither changed nor shown as ours."""
    await shelf.run("CREATE TABLE public.d (precious int)")
    await shelf.run("INSERT INTO d VALUES (42)")
    await shelf.put(1)
    assert not await expose(shelf.engine, "d")
    assert await shelf.run("SELECT * FROM d") == [(42,)]
    assert "somebody else" in str(await shelf.value("SELECT waits_for FROM rookery.exposures"))


async def test_several_processes_may_expose_at_once(shelf: Shelf) -> None:
    """Calls that overlap, also the very first, end in one table that shows the newest snapshot."""
    for number in (1, 2):
        await shelf.put(number)
        await asyncio.gather(*(expose(shelf.engine, "d") for _ in range(4)))
        await sweep_snapshots(shelf.engine)
        assert await shelf.value("SELECT max(v) FROM d") == float(number)
