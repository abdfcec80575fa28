"""Reads at the end of a run what PostgreSQL knows, into the history."""

from tests.faults.arena import Arena
from tests.faults.history import DeadLetter, Handled, Published, Record, Run

_EFFECTS = (
    "SELECT event_id, type, subject, dataset, run, version, extract(epoch FROM at)::float8 AS at,"
    " extract(epoch FROM began_at)::float8 AS began_at FROM faults.effects ORDER BY number"
)
_RUNS = (
    "SELECT id, dataset, requested_by, state, coalesce(reason, '') AS reason, extract(epoch FROM started_at)::float8"
    " AS at, extract(epoch FROM ended_at)::float8 AS ended_at FROM rookery.runs"
)
_EVENTS = (
    "SELECT id, type, coalesce(error, '') AS error, extract(epoch FROM published_at)::float8 AS published_at,"
    " dead_at IS NOT NULL AS dead FROM rookery.events"
)


async def collect(arena: Arena) -> list[Record]:
    """All that happened in a run."""
    note = arena.history.note
    for row in await arena.rows(_EFFECTS):
        effect = {name: getattr(row, name) for name in ("type", "subject", "dataset", "version", "at", "began_at")}
        note(Handled(event=str(row.event_id), run=str(row.run), **effect))
    for row in await arena.rows(_RUNS):
        about = {name: getattr(row, name) for name in ("dataset", "requested_by", "state", "reason", "at", "ended_at")}
        note(Run(run=str(row.id), **about))
    for row in await arena.rows(_EVENTS):
        if row.published_at is not None:
            note(Published(event=str(row.id), at=row.published_at))
        if row.dead:
            note(DeadLetter(event=str(row.id), type=row.type, error=row.error))
    return arena.history.records
