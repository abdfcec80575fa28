"""Rookery's own tables, all in schema `rookery` and always qualified: a data set may well be called `events`.

The data sets' tables are no part of this: their parents are in `public`, their snapshots in schema `snapshots`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "rookery"
SNAPSHOTS_SCHEMA = "snapshots"

metadata = MetaData(schema=SCHEMA)

_NOW = func.clock_timestamp()


def _moment(name: str, *, default: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=not default, server_default=_NOW if default else None)


# A data set's switch; its definition is the spec file. No row: not paused.
datasets = Table(
    "datasets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("paused_by", Text),
    Column("paused_reason", Text),
    _moment("paused_at"),
)

# state: running, completed, failed, superseded.
# outcome, once ended: trained, held, unchanged, rejected, failed, superseded.
runs = Table(
    "runs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'running'")),
    Column("outcome", Text),
    Column("reason", Text),
    Column("requested_by", Text, nullable=False),  # schedule, change, command line, console, ...
    Column("urgent", Boolean, nullable=False),  # a person asked: no minimum interval applies
    Column("snapshot", Integer),
    _moment("started_at", default=True),
    _moment("ended_at"),
)
Index("runs_by_dataset", runs.c.dataset, runs.c.started_at.desc())
Index("runs_open", runs.c.started_at, postgresql_where=text("state = 'running'"))

events = Table(
    "events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("dataset", Text),
    Column("correlationid", Uuid, nullable=False),  # the run
    Column("causationid", Uuid),
    Column("data", JSONB, nullable=False),
    Column("queue", Text),  # none: nobody handles it, it is born handled
    Column("part_of_run", Boolean, nullable=False),
    _moment("time", default=True),
    _moment("due_at", default=True),  # 'infinity': released when the run ends
    _moment("published_at"),
    # The lease: who works on it, under which claim (the fencing token), until when.
    Column("claim_id", Uuid),
    Column("owner", Text),
    _moment("claimed_at"),
    _moment("claimed_until"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column(
        "attempts_before", Integer, nullable=False, server_default=text("0")
    ),  # those of earlier lives, before a person's retry
    _moment("started_at"),  # of the attempt that handled it, or the latest one
    _moment("handled_at"),
    Column("result", Text),  # handled, superseded, discarded
    Column("error", Text),  # the last attempt's, in a sentence
    Column("errors", JSONB, nullable=False, server_default=text("'[]'::jsonb")),  # one entry per failed attempt
    _moment("dead_at"),
)
_OPEN = text("handled_at IS NULL AND dead_at IS NULL")
Index("events_open", events.c.due_at, postgresql_where=_OPEN)
Index("events_of_run", events.c.correlationid, events.c.time)
Index("events_by_time", events.c.time.desc())
Index("events_pace", events.c.dataset, events.c.type, events.c.started_at.desc())
Index("events_dead", events.c.dead_at, postgresql_where=text("dead_at IS NOT NULL"))

# state: loading, ready, dropped. One row per snapshot ever loaded; its tables are snapshots.<dataset>_<number> and
# snapshots.<dataset>_preprocessed_<number>.
snapshots = Table(
    "snapshots",
    metadata,
    Column("dataset", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("event_id", Uuid, unique=True),  # of the ingest.requested that loads it
    Column("run_id", Uuid),
    Column("digest", Text),
    Column("spec_digest", Text),
    Column("fingerprint", JSONB),  # of the source: path, size, mtime, inode per file
    Column("libraries", JSONB),
    Column("rows", BigInteger),
    Column("columns", JSONB),  # name and type of each
    Column("features", JSONB),  # features with their levels and ranges, fixed by preprocess
    Column("rows_kept", BigInteger),
    Column("rows_dropped", JSONB),
    _moment("created_at", default=True),
    _moment("preprocessed_at"),
    _moment("left_at"),
    _moment("dropped_at"),
)

# Which snapshot a table in public shows: `wanted` is decided in the commit that made it, `shown` follows by expose().
exposures = Table(
    "exposures",
    metadata,
    Column("table_name", Text, primary_key=True),  # <dataset> or <dataset>_preprocessed
    Column("dataset", Text, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("shown", Integer),
    _moment("wanted_at", default=True),
    _moment("shown_at"),
    Column("waits_for", Text),  # who blocks the swap: pid and application
)

rejections = Table(
    "rejections",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rows", JSONB),  # a few offending rows
    Column("fingerprint", JSONB),
    Column("spec_digest", Text),
    _moment("at", default=True),
)

# state: reserved, published, held, failed, dropped.
model_versions = Table(
    "model_versions",
    metadata,
    Column("model", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("event_id", Uuid, unique=True),  # of the training event: a retry adopts its version
    Column("run_id", Uuid),
    Column("snapshot", Integer),
    Column("digest", Text),
    Column("metrics", JSONB),
    Column("best_params", JSONB),
    Column("report", JSONB),
    Column("scores", JSONB),
    Column("rows_train", BigInteger),
    Column("rows_test", BigInteger),
    Column("seconds", Float),
    Column("reason", Text),
    _moment("created_at", default=True),
    _moment("published_at"),
)
Index("model_versions_of_run", model_versions.c.run_id)

# What aliases.json of each model is to say; go_live() makes the folder follow.
live_models = Table(
    "live_models",
    metadata,
    Column("model", Text, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("live", Integer, nullable=False),
    Column("previous", Integer),
    Column("candidate", Integer),
    Column("shadow_share", Float, nullable=False, server_default=text("0")),
    Column("pinned", Boolean, nullable=False, server_default=text("false")),
    Column("trail", JSONB, nullable=False, server_default=text("'[]'::jsonb")),  # versions that were live, newest first
    _moment("decided_at", default=True),
    Column("written_generation", BigInteger, nullable=False, server_default=text("0")),
)

# Append-only: which version was made live (or pinned, held, ...) when, by whom, why.
decisions = Table(
    "decisions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("model", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("action", Text, nullable=False),  # publish, hold, promote, rollback, pin, unpin, shadow
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("run_id", Uuid),
    _moment("at", default=True),
)
Index("decisions_by_model", decisions.c.model, decisions.c.at.desc())
