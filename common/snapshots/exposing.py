"""Which snapshot a table in `public` shows: decided in a row of `rookery.exposures`, carried out here.

The table is an empty parent, and the snapshot that inherits from it is changed in one transaction, so that a reader
sees the old rows or the new ones. Such a swap needs every reader of the old snapshot gone for a moment; it waits for
that a tenth of a second only (readers that come after would queue behind it), says who is in the way, and is tried
again by the sweep. Nothing in the chain waits for it. Before that, every reader's view must include the rows.
"""

import asyncio
from typing import Any

from sqlalchemy import CursorResult, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.database.tables import SNAPSHOTS_SCHEMA, exposures
from common.errors import RookeryError
from common.logs import get_logger
from common.snapshots.loading import TRIGGER, refuse_changes
from common.snapshots.names import PUBLIC, parent, qualified, quote, snapshot_table
from common.snapshots.records import columns_of

LOCK_TIMEOUT_MS = 100
Columns = list[tuple[str, str]]
_WHO = "a.pid, coalesce(nullif(a.application_name, ''), a.backend_type) AS application, a.state"

log = get_logger(__name__)


class ExposureError(RookeryError):
    """A table cannot show its snapshot."""


async def expose(engine: AsyncEngine, table: str) -> bool:
    """Has a table in `public` show the snapshot that is wanted; True if it does.

    Idempotent, and harmless from several processes at once. What is in the way is left in `exposures.waits_for`.
    """
    obstacle = await _unseen_by(engine, table)
    if obstacle:
        await _waits(engine, table, obstacle)
        return False
    async with engine.connect() as connection:
        pid = int(await connection.scalar(text("SELECT pg_backend_pid()")) or 0)
        await connection.rollback()
        swap = asyncio.ensure_future(_swap(connection, table))
        try:
            done, _ = await asyncio.wait({swap}, timeout=LOCK_TIMEOUT_MS / 2000)
            blockers = "" if done else await _blockers(engine, pid)
            shown = await swap
        except DBAPIError as error:
            waited = _sqlstate(error) == "55P03"
            reason = (blockers or await _holders(engine, table)) if waited else _sentence(error)
            await _waits(engine, table, reason or "a lock that was released meanwhile")
            return False
        except ExposureError as error:
            await _waits(engine, table, error.message)
            return False
        finally:
            if not swap.done():
                swap.cancel()
                await asyncio.wait({swap})
    if shown:
        await _analyze(engine, table)
    return True


async def _swap(connection: AsyncConnection, table: str) -> int:
    """The transaction; the snapshot that the table shows now if it changed that, else 0."""
    async with connection.begin():
        await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
        decided = select(exposures.c.wanted, exposures.c.shown).where(exposures.c.table_name == table)
        row = (await connection.execute(decided.with_for_update())).first()
        if row is None:
            return 0
        wanted = int(row.wanted)
        columns = await columns_of(connection, SNAPSHOTS_SCHEMA, snapshot_table(table, wanted))
        if not columns:
            raise ExposureError(f"snapshot {wanted} has no table")
        child = snapshot_table(table, wanted)
        children = await _children_of_parent(connection, table, columns)
        if children == [child]:
            changed = bool(row.shown != wanted)
        else:
            await _exchange(connection, table, children, child, columns)
            changed = True
        if changed:
            await connection.execute(
                update(exposures)
                .where(exposures.c.table_name == table)
                .values(shown=wanted, shown_at=func.clock_timestamp(), waits_for=None)
            )
        return wanted if changed else 0


async def _children_of_parent(connection: AsyncConnection, table: str, columns: Columns) -> list[str]:
    """The snapshots that the parent shows now; makes the parent where there is none.

    A table of that name which is not ours is never touched.
    """
    found = await connection.execute(
        text(
            "SELECT c.oid, EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = :trigger) AS ours "
            "FROM pg_class c WHERE c.relname = :name AND c.relnamespace = to_regnamespace(:schema)"
        ),
        {"trigger": TRIGGER, "name": table, "schema": PUBLIC},
    )
    row = found.first()
    if row is None:
        await _create_parent(connection, table, columns)
        return []
    if not row.ours:
        raise ExposureError(f"{PUBLIC}.{table} is a table of somebody else; rename it, or the data set")
    children = await connection.execute(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = :parent ORDER BY c.relname"
        ),
        {"parent": row.oid},
    )
    return [str(name) for name in children.scalars()]


async def _exchange(connection: AsyncConnection, table: str, old: list[str], new: str, columns: Columns) -> None:
    """Detaches the old snapshots, makes the parent's columns those of the new one, and attaches it."""
    before = await columns_of(connection, PUBLIC, table)
    if before != columns:
        # Parent before child, as readers take them; the other way round they could wait for each other.
        await connection.exec_driver_sql(f"LOCK TABLE ONLY {parent(table)} IN ACCESS EXCLUSIVE MODE")
    for child in old:
        if child != new:
            await connection.exec_driver_sql(
                f"ALTER TABLE {SNAPSHOTS_SCHEMA}.{quote(child)} NO INHERIT {parent(table)}"
            )
    if before != columns:
        await _alter_columns(connection, table, before, columns)
    if new not in old:
        await connection.exec_driver_sql(f"ALTER TABLE {SNAPSHOTS_SCHEMA}.{quote(new)} INHERIT {parent(table)}")


async def _alter_columns(connection: AsyncConnection, table: str, before: Columns, after: Columns) -> None:
    """Gives the empty parent other columns and keeps the table itself: its grants, and views on what stays.

    Columns of another type are altered; then everything behind the first difference is made anew, so that the order
    is the snapshot's. Where a view needs one of those, only what must change is changed, and the order suffers.
    """
    kinds = dict(after)
    altered = [
        f"ALTER COLUMN {quote(name)} TYPE {kinds[name]} USING NULL"
        for name, kind in before
        if kinds.get(name, kind) != kind
    ]
    if altered:
        await connection.exec_driver_sql(f"ALTER TABLE ONLY {parent(table)} {', '.join(altered)}")
    old, new = [name for name, _ in before], [name for name, _ in after]
    same = next(
        (at for at, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new))
    )
    if same == len(old) == len(new):
        return
    try:
        async with connection.begin_nested():
            await _replace_columns(connection, table, old[same:], after[same:])
    except DBAPIError as error:
        if _sqlstate(error) == "54011":  # too many columns: those that were dropped count, too
            await _rebuild(connection, table, after)
            return
        if _sqlstate(error) != "2BP01":  # dependent objects still exist
            raise
        gone = [name for name in old if name not in kinds]
        await _replace_columns(connection, table, gone, [column for column in after if column[0] not in old])


async def _rebuild(connection: AsyncConnection, table: str, columns: Columns) -> None:
    """Makes the parent anew, with the grants it had. Its views would stand in the way, and are told."""
    granted = await connection.execute(
        text(
            "SELECT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS grantee,"
            " g.privilege_type, g.is_grantable FROM pg_class c, aclexplode(c.relacl) g"
            " WHERE c.relname = :name AND c.relnamespace = to_regnamespace(:schema) AND g.grantee <> c.relowner"
        ),
        {"name": table, "schema": PUBLIC},
    )
    grants = [
        f"GRANT {row.privilege_type} ON {parent(table)} TO {row.grantee}"
        + (" WITH GRANT OPTION" if row.is_grantable else "")
        for row in granted
    ]
    await connection.exec_driver_sql(f"DROP TABLE {parent(table)}")
    await _create_parent(connection, table, columns)
    for grant in grants:
        await connection.exec_driver_sql(grant)


async def _create_parent(connection: AsyncConnection, table: str, columns: Columns) -> None:
    listing = ", ".join(f"{quote(name)} {kind}" for name, kind in columns)
    await connection.exec_driver_sql(f"CREATE TABLE {parent(table)} ({listing})")
    await refuse_changes(connection, parent(table))


async def _replace_columns(connection: AsyncConnection, table: str, gone: list[str], come: Columns) -> None:
    changes = [f"DROP COLUMN {quote(name)}" for name in gone]
    changes += [f"ADD COLUMN {quote(name)} {kind}" for name, kind in come]
    if gone:
        dropping = ", ".join(changes[: len(gone)])
        await connection.exec_driver_sql(f"ALTER TABLE ONLY {parent(table)} {dropping}")
    if come:
        adding = ", ".join(changes[len(gone) :])
        await connection.exec_driver_sql(f"ALTER TABLE ONLY {parent(table)} {adding}")


async def _blockers(engine: AsyncEngine, pid: int) -> str:
    """Who the connection with this pid waits for, in words; empty if for nobody."""
    async with engine.connect() as connection:
        found = await connection.execute(
            text(
                f"SELECT {_WHO} FROM unnest(pg_blocking_pids(:pid)) AS b (pid) "
                "JOIN pg_stat_activity a ON a.pid = b.pid ORDER BY a.pid"
            ),
            {"pid": pid},
        )
        return _named(found)


async def _holders(engine: AsyncEngine, table: str) -> str:
    """Who holds a lock on the table, in words: for a swap that gave up before it was asked whom it waits for."""
    async with engine.connect() as connection:
        found = await connection.execute(
            text(
                f"SELECT DISTINCT {_WHO} FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
                " WHERE l.granted AND l.relation = to_regclass(:table) AND l.pid <> pg_backend_pid() ORDER BY a.pid"
            ),
            {"table": parent(table)},
        )
        return _named(found)


def _named(found: CursorResult[Any]) -> str:
    return ", ".join(f"pid {row.pid} ({row.application}, {row.state or 'at work'})" for row in found)


async def _waits(engine: AsyncEngine, table: str, reason: str) -> None:
    async with engine.begin() as connection:
        changed = await connection.execute(
            update(exposures)
            .where(exposures.c.table_name == table, exposures.c.waits_for.is_distinct_from(reason))
            .values(waits_for=reason)
        )
    if changed.rowcount:
        log.warning("a table waits to show its snapshot", table=table, waits_for=reason)


async def _unseen_by(engine: AsyncEngine, table: str) -> str:
    """Who would not see the rows of the snapshot that is wanted; empty if everybody does.

    A transaction with an older view of the database (REPEATABLE READ, as pg_dump's) does not see rows that were not
    frozen as they were loaded: shown to it, the table would be empty. Pages marked as visible to all are counted by
    ANALYZE, which the planner needs anyway; what was not frozen is marked by VACUUM.
    """
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        wanted = await connection.scalar(select(exposures.c.wanted).where(exposures.c.table_name == table))
        if wanted is None or await _is_visible_to_all(connection, table, wanted):
            return ""
        await connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {qualified(table, wanted)}")
        if await _is_visible_to_all(connection, table, wanted):
            return ""
        older = await _older_views(connection, table, wanted)
        if older:
            return f"{older}, which began before the snapshot was made and would see no rows"
        await _flush(engine, table)
        await connection.exec_driver_sql(f"VACUUM (SKIP_LOCKED) {qualified(table, wanted)}")
        if await _is_visible_to_all(connection, table, wanted):
            return ""
        return "a transaction that began before the snapshot was made and would see no rows"


async def _flush(engine: AsyncEngine, table: str) -> None:
    """Puts every commit before this on disk: until then VACUUM does not mark what they wrote.

    The commit of a claim, for one, does not wait for the disk.
    """
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL synchronous_commit = on"))
        same = update(exposures).where(exposures.c.table_name == table).values(waits_for=exposures.c.waits_for)
        await connection.execute(same)


async def _is_visible_to_all(connection: AsyncConnection, table: str, number: int) -> bool:
    """Whether every page is known to be visible to all; also where there is no such table, which the swap tells."""
    visible = await connection.scalar(
        text(
            "SELECT relpages > 0 AND relallvisible >= relpages FROM pg_class"
            " WHERE relname = :name AND relnamespace = to_regnamespace(:schema)"
        ),
        {"name": snapshot_table(table, number), "schema": SNAPSHOTS_SCHEMA},
    )
    return visible is None or bool(visible)


async def _older_views(connection: AsyncConnection, table: str, number: int) -> str:
    """Transactions whose view of the database is older than the snapshot's rows; other roles' may be hidden from us."""
    born = f"(SELECT xmin FROM ONLY {qualified(table, number)} LIMIT 1)"
    found = await connection.exec_driver_sql(
        f"SELECT {_WHO} FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() "
        f"AND a.backend_xmin IS NOT NULL AND age(a.backend_xmin) >= age({born}) ORDER BY a.pid"
    )
    return _named(found)


async def _analyze(engine: AsyncEngine, table: str) -> None:
    """The planner's figures of the parent, best effort: without them it guesses."""
    async with engine.connect() as connection:
        try:
            async with connection.begin():
                await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
                await connection.exec_driver_sql(f"ANALYZE {parent(table)}")
        except DBAPIError as error:
            log.info("a table was not analyzed", table=table, reason=_sentence(error))


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", ""))


def _sentence(error: DBAPIError) -> str:
    """PostgreSQL's message, and its detail (which view stands in the way), without SQLAlchemy's wrapping."""
    cause: Any = error.orig.__cause__ if error.orig is not None else None
    parts = [getattr(cause, "message", None) or str(error.orig), getattr(cause, "detail", None)]
    return ": ".join(str(part) for part in parts if part)
