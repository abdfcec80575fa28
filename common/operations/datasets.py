"""Data sets: pausing and resuming their schedule."""

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
