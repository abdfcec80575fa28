"""Snapshots: immutable tables of one state of a data set, and the tables in `public` that show one of them."""

from common.snapshots.exposing import expose
from common.snapshots.reading import read_columns, read_encoded, snapshot_features, stream_columns
from common.snapshots.records import Features, Snapshot, get_snapshot, latest_snapshot
from common.snapshots.sweeping import sweep_snapshots

__all__ = [
    "Features",
    "Snapshot",
    "expose",
    "get_snapshot",
    "latest_snapshot",
    "read_columns",
    "read_encoded",
    "snapshot_features",
    "stream_columns",
    "sweep_snapshots",
]
