"""Data sets: pausing and resuming their schedule, and what is wrong with their last runs."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def pause(connection: AsyncConnection, dataset: str, *, by: str, reason: str) -> None:
    """Stops a data set's ticks until it is resumed; runs that a person asks for still happen."""
    await connection.execute(
        text(
            "INSERT INTO rookery.datasets (name, paused, paused_by, paused_reason, paused_at)"
            " VALUES (:name, true, :by, :reason, clock_timestamp())"
            " ON CONFLICT (name) DO UPDATE SET paused = true, paused_by = :by, paused_reason = :reason,"
            " paused_at = clock_timestamp()"
        ),
        {"name": dataset, "by": by, "reason": reason},
    )


async def resume(connection: AsyncConnection, dataset: str) -> None:
    """Lets a data set's ticks go on."""
    await connection.execute(
        text(
            "UPDATE rookery.datasets SET paused = false, paused_by = NULL, paused_reason = NULL, paused_at = NULL"
            " WHERE name = :name"
        ),
        {"name": dataset},
    )


async def last_failures(connection: AsyncConnection, names: Sequence[str]) -> dict[str, str]:
    """Why the last run of each data set failed, where it did; runs that found nothing new do not count.

    What failed before a snapshot was taken is over once its source was found as it was.
    """
    rows = await connection.execute(
        text(
            "SELECT n.name, r.reason FROM unnest(CAST(:names AS text[])) n(name), LATERAL (SELECT * FROM rookery.runs"
            "  WHERE dataset = n.name AND state <> 'running' AND outcome IS DISTINCT FROM 'unchanged'"
            "  ORDER BY started_at DESC LIMIT 1) r WHERE r.state = 'failed'"
            " AND (EXISTS (SELECT FROM rookery.events e WHERE e.correlationid = r.id AND e.type = 'dataset.ingested')"
            "  OR NOT EXISTS (SELECT FROM rookery.runs u WHERE u.dataset = n.name AND u.outcome = 'unchanged'"
            "   AND u.started_at > r.started_at))"
        ),
        {"names": list(names)},
    )
    return {row.name: row.reason or "no reason was recorded" for row in rows}
