"""Runs as the list shows them: what came of each, and its work as bars; ticks that found nothing are counted only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from common.operations.runs import RunFacts


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of runs is narrowed to. State: running, needs, done, or a state or outcome."""

    state: str = ""
    dataset: str = ""
    q: str = ""


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One handled event of a run; times in seconds since the run began, None where that has not happened."""

    event: UUID
    stage: str
    subject: str
    state: str
    due: float
    start: float | None
    end: float | None


class RunModel(msgspec.Struct, frozen=True):
    """A version that a run made."""

    model: str
    version: int
    state: str


class RunLine(RunFacts, frozen=True, kw_only=True):
    """A run in a list. `work_s`: seconds in which anything of it was worked on, waits left out."""

    work_s: float
    retries: int
    bars: list[Bar]
    models: list[RunModel]


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """Ticks of a data set that found nothing new, between two runs of the list (`after`: the one above)."""

    after: UUID | None
    dataset: str
    count: int
    first_at: datetime
    last_at: datetime


class RunsPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of runs, the newest first; `next` is the cursor of the following page.

    `excluded` says, where nothing matches, how many runs each filter leaves out.
    """

    runs: list[RunLine]
    folds: list[Fold] = []
    next: str | None = None
    excluded: dict[str, int] = {}


_STATE = (
    "(:state = '' OR r.state = :state OR r.outcome = :state"
    " OR (:state = 'needs' AND r.outcome IN ('held', 'failed', 'rejected'))"
    " OR (:state = 'done' AND r.state = 'completed'))"
)
_DATASET = "(:dataset = '' OR r.dataset = :dataset)"
_SEARCH = (
    "(:q = '' OR CAST(r.id AS text) LIKE '%' || lower(:q) || '%' OR r.dataset ILIKE '%' || :q || '%'"
    " OR CAST(r.snapshot AS text) = regexp_replace(:q, '^snapshot ', '') OR r.requested_by ILIKE '%' || :q || '%'"
    " OR r.reason ILIKE '%' || :q || '%' OR EXISTS (SELECT 1 FROM rookery.model_versions v"
    "  WHERE v.run_id = r.id AND v.model || ' ' || v.version ILIKE '%' || :q || '%'))"
)
_BEFORE = "(CAST(:before AS timestamptz) IS NULL OR r.started_at < :before)"
# Said as the partial index says it.
_NEWS = "r.outcome IS DISTINCT FROM 'unchanged'"
_COUNTED = 10_000


async def list_run_lines(
    connection: AsyncConnection,
    filters: Filters,
    *,
    with_unchanged: bool = False,
    before: datetime | None = None,
    limit: int = 50,
) -> RunsPage:
    """A page of runs."""
    news = "true" if with_unchanged or filters.state == "unchanged" else _NEWS
    rows = (
        await connection.execute(
            text(
                f"SELECT r.* FROM rookery.runs r WHERE {news} AND {_STATE} AND {_DATASET} AND {_SEARCH} AND {_BEFORE}"
                " ORDER BY r.started_at DESC, r.id DESC LIMIT :limit"
            ),
            {**msgspec.structs.asdict(filters), "before": before, "limit": limit + 1},
        )
    ).mappings()
    found = [dict(row) for row in rows]
    page, more = found[:limit], len(found) > limit
    lines = await _lines(connection, page)
    folded = not with_unchanged and not filters.state and not filters.q
    folds = await _folds(connection, lines, filters.dataset, before=before, complete=not more) if folded else []
    return RunsPage(
        runs=lines,
        folds=folds,
        next=page[-1]["started_at"].isoformat() if more else None,
        excluded=await _excluded(connection, filters) if not lines and before is None else {},
    )


async def get_run_line(connection: AsyncConnection, run: dict[str, Any]) -> RunLine:
    """One run as the list shows it."""
    return (await _lines(connection, [run]))[0]


async def snapshot_of_run(connection: AsyncConnection, run_id: UUID) -> int | None:
    """The snapshot that a run is about: what its events name."""
    number = await connection.scalar(
        text(
            "SELECT max(CAST(data->>'snapshot' AS integer)) FROM rookery.events"
            " WHERE correlationid = :run AND type IN ('dataset.ingested', 'dataset.preprocessed')"
        ),
        {"run": run_id},
    )
    return int(number) if number is not None else None


async def rows_of_run(connection: AsyncConnection, dataset: str, snapshot: int | None) -> dict[str, Any]:
    """How many rows the run's snapshot has, and how many of them were used."""
    row = (
        (
            await connection.execute(
                text(
                    "SELECT rows, rows_kept, rows_dropped FROM rookery.snapshots"
                    " WHERE dataset = :dataset AND number = :number"
                ),
                {"dataset": dataset, "number": snapshot},
            )
        )
        .mappings()
        .first()
    )
    return dict(row) if row else {}


async def _lines(connection: AsyncConnection, runs: Sequence[dict[str, Any]]) -> list[RunLine]:
    """The runs with their bars and models, each read at once for all."""
    ids = [run["id"] for run in runs]
    bars: dict[UUID, list[dict[str, Any]]] = {run: [] for run in ids}
    rows = await connection.execute(
        text(
            "SELECT e.correlationid AS run, e.id AS event, replace(e.queue, 'rookery.', '') AS stage, e.subject,"
            " extract(epoch FROM nullif(e.due_at, 'infinity') - r.started_at)::float8 AS due,"
            " extract(epoch FROM e.started_at - r.started_at)::float8 AS start,"
            # Nobody worked on a dead letter until it was discarded: its work ended with its last error.
            " extract(epoch FROM CASE WHEN e.result = 'discarded'"
            "  THEN coalesce(CAST(e.errors->-1->>'at' AS timestamptz), e.started_at)"
            "  ELSE coalesce(e.handled_at, e.dead_at) END - r.started_at)::float8 AS end,"
            " e.attempts + e.attempts_before AS attempts, coalesce(e.data->>'family', '') AS family,"
            " CASE WHEN e.dead_at IS NOT NULL OR e.result = 'discarded' THEN 'dead'"
            "  WHEN e.result = 'superseded' THEN 'superseded' WHEN e.handled_at IS NOT NULL THEN 'done'"
            "  WHEN e.claimed_until > clock_timestamp() THEN 'running'"
            "  ELSE 'waiting' END AS state"
            " FROM rookery.events e JOIN rookery.runs r ON r.id = e.correlationid"
            " WHERE e.correlationid = ANY(:ids) AND e.queue IS NOT NULL AND e.part_of_run ORDER BY e.time, e.id"
        ),
        {"ids": ids},
    )
    for row in rows.mappings():
        bars[row["run"]].append(dict(row))
    models: dict[UUID, list[RunModel]] = {run: [] for run in ids}
    versions = await connection.execute(
        text(
            "SELECT run_id, model, version, state FROM rookery.model_versions"
            " WHERE run_id = ANY(:ids) AND state <> 'reserved' ORDER BY model"
        ),
        {"ids": ids},
    )
    for version in versions:
        models[version.run_id].append(RunModel(version.model, version.version, version.state))
    return [_line(run, bars[run["id"]], models[run["id"]]) for run in runs]


_COLUMNS = (
    "id", "dataset", "state", "outcome", "reason", "requested_by", "urgent", "snapshot", "started_at", "ended_at",
)  # fmt: skip


def _line(run: dict[str, Any], bars: list[dict[str, Any]], models: list[RunModel]) -> RunLine:
    shown = [
        Bar(
            event=bar["event"],
            stage=bar["stage"],
            subject=bar["family"] or bar["subject"],
            state=bar["state"],
            due=max(0.0, bar["due"] or 0.0),
            start=bar["start"],
            end=bar["end"],
        )
        for bar in bars
    ]
    return RunLine(
        **{name: run[name] for name in _COLUMNS},
        work_s=worked(shown, run["started_at"], run["ended_at"]),
        retries=sum(max(0, bar["attempts"] - 1) for bar in bars),
        bars=shown,
        models=models,
    )


def worked(bars: Sequence[Bar], started_at: datetime, ended_at: datetime | None) -> float:
    """Seconds covered by at least one bar; what still runs counts until now."""
    last = ((ended_at or datetime.now(started_at.tzinfo)) - started_at).total_seconds()
    spans = sorted(
        (bar.start, bar.end if bar.end is not None else last)
        for bar in bars
        if bar.start is not None and bar.state != "superseded"
    )
    total, reached = 0.0, float("-inf")
    for start, end in spans:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return round(total, 3)


async def _folds(
    connection: AsyncConnection, lines: Sequence[RunLine], dataset: str, *, before: datetime | None, complete: bool
) -> list[Fold]:
    """How many ticks found nothing between the runs of the page, per data set."""
    edges = sorted(line.started_at for line in lines)
    rows = await connection.execute(
        text(
            "SELECT width_bucket(r.started_at, CAST(:edges AS timestamptz[])) AS gap, r.dataset, count(*) AS many,"
            " min(r.started_at) AS first_at, max(r.started_at) AS last_at"
            f" FROM rookery.runs r WHERE r.outcome = 'unchanged' AND {_DATASET} AND {_BEFORE}"
            " AND (:complete OR r.started_at >= CAST(:oldest AS timestamptz))"
            " GROUP BY 1, 2 ORDER BY 1 DESC, last_at DESC"
        ),
        {
            "edges": edges,
            "dataset": dataset,
            "before": before,
            "complete": complete or not edges,
            "oldest": edges[0] if edges else None,
        },
    )
    newest_first = list(reversed(edges))
    above = {line.started_at: line.id for line in lines}
    return [
        Fold(
            after=above[newest_first[len(edges) - row.gap - 1]] if row.gap < len(edges) else None,
            dataset=row.dataset,
            count=row.many,
            first_at=row.first_at,
            last_at=row.last_at,
        )
        for row in rows
    ]


async def _excluded(connection: AsyncConnection, filters: Filters) -> dict[str, int]:
    """For each filter that is set: how many runs there would be without it."""
    counts = {}
    for name in ("state", "dataset", "q"):
        if not getattr(filters, name):
            continue
        without = msgspec.structs.replace(filters, **{name: ""})
        count = await connection.execute(
            text(
                f"SELECT count(*) FROM (SELECT 1 FROM rookery.runs r WHERE {_NEWS} AND {_STATE} AND {_DATASET}"
                f" AND {_SEARCH} LIMIT {_COUNTED}) counted"
            ),
            msgspec.structs.asdict(without),
        )
        counts[name] = int(count.scalar_one())
    return counts
