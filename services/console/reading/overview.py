"""The overview: what waits for a person, each data set in a line, the figures of the chain's stops."""

from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from common.database.reading import read_all
from common.datasets import DatasetSpec, load_specs, model_name
from common.errors import SpecError
from common.operations.models import Model
from common.settings import Settings
from services.console.reading import attention
from services.console.reading.attention import Dead, Item, Rejection

_LAST = 24
_STAGE_EVENTS = {"ingest": "ingest.requested", "preprocess": "dataset.ingested", "train": "training.requested"}


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A stop's last work of a data set: durations, the newest last, with what became of each."""

    last_ended: float | None = None
    last_s: float | None = None
    durations: list[tuple[float, str]] = []


class DatasetLine(msgspec.Struct, frozen=True, kw_only=True):
    """A data set: its schedule, its families, its last run."""

    name: str
    error: str = ""
    default: bool = False
    default_model: str = ""
    task: str = ""
    target: str = ""
    metric: str = ""
    source: str = ""
    interval_s: float | None = None
    families: list[str] = []
    models: list[str] = []
    estimators: dict[str, str] = {}
    gates: dict[str, dict[str, Any]] = {}
    paused: bool = False
    paused_by: str | None = None
    paused_reason: str | None = None
    last_tick: float | None = None
    last_run: dict[str, Any] | None = None
    snapshot: int | None = None


async def dataset_lines(connection: AsyncConnection, settings: Settings) -> list[DatasetLine]:
    """Every data set that has a file, the default one first."""
    specs = load_specs(settings.datasets_dir)
    rows = await connection.execute(
        text(
            "SELECT n.name, coalesce(d.paused, false) AS paused, d.paused_by, d.paused_reason,"
            " (SELECT extract(epoch FROM max(t.started_at))::float8 FROM (SELECT started_at FROM rookery.runs"
            "   WHERE dataset = n.name AND requested_by = 'schedule' ORDER BY started_at DESC LIMIT 1) t) AS last_tick,"
            " (SELECT jsonb_build_object('id', r.id, 'state', r.state, 'outcome', r.outcome, 'reason', r.reason,"
            "   'started_at', r.started_at, 'snapshot', r.snapshot) FROM rookery.runs r WHERE r.dataset = n.name"
            "   AND r.outcome IS DISTINCT FROM 'unchanged' ORDER BY r.started_at DESC LIMIT 1) AS last_run,"
            " (SELECT max(number) FROM rookery.snapshots s WHERE s.dataset = n.name AND s.state = 'ready') AS snapshot"
            " FROM unnest(CAST(:names AS text[])) n(name) LEFT JOIN rookery.datasets d ON d.name = n.name"
        ),
        {"names": list(specs)},
    )
    lines = [_line(specs[row["name"]], dict(row)) for row in rows.mappings()]
    return sorted(lines, key=lambda line: (not line.default, line.name))


def _line(spec: DatasetSpec | SpecError, row: dict[str, Any]) -> DatasetLine:
    if isinstance(spec, SpecError):
        return DatasetLine(**row, error=spec.message)
    return DatasetLine(
        **row,
        default=spec.default,
        default_model=model_name(spec, spec.default_model),
        task=spec.task,
        target=spec.target,
        metric=spec.metric,
        source=source_words(spec),
        interval_s=spec.interval_s,
        families=list(spec.families),
        models=[model_name(spec, family) for family in spec.families],
        estimators={model_name(spec, name): family.estimator for name, family in spec.families.items()},
        gates={model_name(spec, name): msgspec.to_builtins(spec.gate_of(name)) for name in spec.families},
    )


def source_words(spec: DatasetSpec) -> str:
    """Where a data set's rows come from, in words."""
    source: Any = msgspec.to_builtins(spec.source)
    if source["kind"] == "seaborn":
        return f"data/{source['name']}.csv"
    return f"data/{source['path']}" if "path" in source else "an SQL query"


async def stages(connection: AsyncConnection, dataset: str) -> dict[str, Stage]:
    """What each stop did last for a data set."""
    found = {}
    for stage, kind in _STAGE_EVENTS.items():
        rows = (
            await connection.execute(
                text(
                    "SELECT extract(epoch FROM coalesce(handled_at, dead_at))::float8 AS ended,"
                    " extract(epoch FROM coalesce(handled_at, dead_at) - started_at)::float8 AS seconds,"
                    " CASE WHEN dead_at IS NOT NULL THEN 'dead' ELSE coalesce((SELECT v.state FROM"
                    "  rookery.model_versions v WHERE v.event_id = e.id), 'done') END AS state"
                    " FROM rookery.events e WHERE dataset = :dataset AND type = :kind AND started_at IS NOT NULL"
                    " ORDER BY started_at DESC LIMIT :last"
                ),
                {"dataset": dataset, "kind": kind, "last": _LAST},
            )
        ).all()
        ended = [row for row in rows if row.ended is not None]
        found[stage] = Stage(
            last_ended=ended[0].ended if ended else None,
            last_s=ended[0].seconds if ended else None,
            durations=[(round(row.seconds, 4), row.state) for row in reversed(ended)],
        )
    return found


async def expected_seconds(connection: AsyncConnection) -> dict[str, float]:
    """How long the training of each model took, the mean of its last five versions."""
    rows = await connection.execute(
        text(
            "SELECT m.model, (SELECT avg(seconds)::float8 FROM (SELECT seconds FROM rookery.model_versions v"
            " WHERE v.model = m.model AND v.seconds IS NOT NULL ORDER BY v.version DESC LIMIT 5) s) AS seconds"
            " FROM (SELECT DISTINCT model FROM rookery.model_versions) m"
        )
    )
    return {row.model: row.seconds for row in rows if row.seconds is not None}


async def attention_items(connection: AsyncConnection, models: list[Model], datasets: list[DatasetLine]) -> list[Item]:
    """What waits for a person, in the order in which it should be looked at."""
    known = {line.name for line in datasets}
    return [
        *attention.spec_items({line.name: line.error for line in datasets if line.error}),
        *attention.held_items(models, await _held_reasons(connection, models)),
        *attention.dead_items(await read_dead(connection)),
        # One whose file is gone waits for nobody.
        *attention.rejected_items([one for one in await read_rejections(connection) if one.dataset in known]),
        *attention.waiting_swaps(await _swaps(connection)),
    ]


async def _held_reasons(connection: AsyncConnection, models: list[Model]) -> dict[tuple[str, int], str]:
    held = [(model.name, model.held[0]) for model in models if model.held]
    if not held:
        return {}
    rows = await connection.execute(
        text(
            "SELECT v.model, v.version, v.reason FROM rookery.model_versions v"
            " JOIN unnest(CAST(:models AS text[]), CAST(:versions AS integer[])) h(model, version)"
            " ON h.model = v.model AND h.version = v.version"
        ),
        {"models": [model for model, _ in held], "versions": [version for _, version in held]},
    )
    return {(row.model, row.version): row.reason for row in rows if row.reason}


async def read_dead(connection: AsyncConnection) -> list[Dead]:
    """The dead letters, the newest first."""
    return await read_all(
        connection,
        Dead,
        "SELECT id, type, subject, coalesce(data->>'family', '') AS family, dataset, error,"
        " attempts + attempts_before AS attempts, dead_at FROM rookery.events WHERE dead_at IS NOT NULL"
        " ORDER BY dead_at DESC LIMIT 100",
    )


async def read_rejections(connection: AsyncConnection, dataset: str | None = None) -> list[Rejection]:
    """The last rejection of each data set, unless a snapshot was taken or found unchanged after it."""
    return await read_all(
        connection,
        Rejection,
        "SELECT DISTINCT ON (r.dataset) r.event_id AS event, r.dataset, r.reason, r.at,"
        " coalesce(nullif(r.rows, 'null'::jsonb), '[]'::jsonb) AS rows,"
        " (SELECT correlationid FROM rookery.events e WHERE e.id = r.event_id) AS run,"
        " (SELECT max(number) FROM rookery.snapshots s WHERE s.dataset = r.dataset AND s.state = 'ready') AS in_use"
        " FROM rookery.rejections r WHERE (CAST(:dataset AS text) IS NULL OR r.dataset = :dataset)"
        " AND NOT EXISTS (SELECT 1 FROM rookery.snapshots s WHERE s.dataset = r.dataset AND s.state = 'ready'"
        "  AND s.created_at > r.at)"
        # A source that holds again what was loaded last is unchanged; one that could not be read names no digest.
        " AND NOT EXISTS (SELECT 1 FROM rookery.events u WHERE u.dataset = r.dataset AND u.time > r.at"
        "  AND u.type = 'dataset.unchanged' AND u.data->>'digest' <> '' AND NOT EXISTS (SELECT 1"
        "   FROM rookery.events w WHERE w.dataset = r.dataset AND w.time > u.time AND w.type = 'dataset.rejected'))"
        " ORDER BY r.dataset, r.at DESC",
        {"dataset": dataset},
    )


async def _swaps(connection: AsyncConnection) -> list[dict[str, Any]]:
    rows = await connection.execute(
        text(
            "SELECT table_name, dataset, shown, waits_for FROM rookery.exposures WHERE waits_for IS NOT NULL"
            " AND shown IS DISTINCT FROM wanted AND wanted_at < clock_timestamp() - interval '30 s'"
        )
    )
    return [dict(row) for row in rows.mappings()]
