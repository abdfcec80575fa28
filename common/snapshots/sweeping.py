"""What is repeated until it is done: tables that wait to show their snapshot, and snapshots nobody needs any more."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from common.logs import get_logger
from common.snapshots.exposing import LOCK_TIMEOUT_MS, expose
from common.snapshots.loading import TRIGGER
from common.snapshots.names import exposed, exposed_preprocessed, qualified, quote
from common.snapshots.records import update_snapshot

# A reader that planned its query just before the swap still reads the old snapshot.
KEPT_S = 60

log = get_logger(__name__)

# A snapshot has left when no table shows it or is to show it, and a newer one has come.
_MARK_LEFT = text("""
    UPDATE rookery.snapshots s SET left_at = clock_timestamp()
    WHERE s.state = 'ready' AND s.left_at IS NULL
      AND EXISTS (SELECT FROM rookery.exposures e WHERE e.table_name = s.dataset AND e.wanted > s.number)
      AND NOT EXISTS (SELECT FROM rookery.exposures e
                      WHERE e.dataset = s.dataset AND s.number IN (e.wanted, coalesce(e.shown, e.wanted)))
""")
_WORK = text("""
    SELECT 'expose' AS kind, table_name AS name, wanted AS number
    FROM rookery.exposures WHERE shown IS DISTINCT FROM wanted
    UNION ALL
    SELECT 'drop', s.dataset, s.number FROM rookery.snapshots s
    WHERE s.state = 'ready' AND s.left_at < clock_timestamp() - make_interval(secs => :kept_s)
      AND NOT EXISTS (
        SELECT FROM rookery.events e LEFT JOIN rookery.runs r ON r.id = e.correlationid
        WHERE e.handled_at IS NULL AND e.dead_at IS NULL AND e.dataset = s.dataset
          AND ((e.data ->> 'snapshot')::int = s.number OR r.snapshot = s.number))
    UNION ALL
    SELECT 'leftover', s.dataset, s.number FROM rookery.snapshots s
    WHERE s.state = 'loading' AND NOT EXISTS (
        SELECT FROM rookery.events e WHERE e.id = s.event_id AND e.handled_at IS NULL AND e.dead_at IS NULL)
    UNION ALL
    SELECT 'orphan', c.relname, 0 FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = :trigger
    WHERE c.relnamespace = to_regnamespace('snapshots') AND c.relkind = 'r'
      AND NOT EXISTS (SELECT FROM rookery.snapshots s WHERE s.state <> 'dropped'
                      AND c.relname IN (s.dataset || '_' || s.number, s.dataset || '_preprocessed_' || s.number))
""")


async def sweep_snapshots(engine: AsyncEngine, *, kept_s: float = KEPT_S) -> None:
    """One round: shows what waits to be shown, drops what left long enough ago and no open run needs."""
    async with engine.begin() as connection:
        await connection.execute(_MARK_LEFT)
        work = (await connection.execute(_WORK, {"kept_s": kept_s, "trigger": TRIGGER})).all()
    for kind, name, number in work:
        if kind == "expose":
            await expose(engine, name)
            continue
        try:
            async with engine.begin() as connection:
                await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
                await _clear(connection, kind, name, number)
        except DBAPIError as error:
            # a reader is still in it: the next round tries again
            log.info("a snapshot is still in use", dataset=name, snapshot=number, reason=str(error.orig))


async def _clear(connection: AsyncConnection, kind: str, name: str, number: int) -> None:
    if kind == "orphan":
        await connection.exec_driver_sql(f"DROP TABLE IF EXISTS snapshots.{quote(name)}")
        return
    await drop_snapshot(connection, name, number)
    if kind == "leftover":
        await connection.execute(
            text("DELETE FROM rookery.snapshots WHERE dataset = :name AND number = :number AND state = 'loading'"),
            {"name": name, "number": number},
        )
        return
    moment: Any = text("clock_timestamp()")
    await update_snapshot(connection, name, number, state="dropped", dropped_at=moment)
    log.info("snapshot dropped", dataset=name, snapshot=number)


async def drop_snapshot(connection: AsyncConnection, dataset: str, number: int) -> None:
    """Drops the tables of a snapshot, in a transaction that changes nothing else about what readers see."""
    for table in (exposed_preprocessed(dataset), exposed(dataset)):
        await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {qualified(table, number)}")
