"""What the console answers under /api: one table. The OpenAPI document is made from it."""

from typing import Any

from common.operations.models import Decision, Model, ModelVersion
from services.console.api import asking, datasets, events, models, runs, system
from services.console.live.pulse import Part
from services.console.live.work import Work
from services.console.reading.comparing import Comparison
from services.console.reading.logs import RunLog
from services.console.reading.overview import DatasetLine
from services.console.reading.runs import RunsPage
from services.console.web.routing import Route

_DATASET = "/api/datasets/{dataset}"
_MODEL = "/api/models/{model}"
_VERSION = f"{_MODEL}/versions/{{version}}"

ROUTES: list[Route] = [
    Route(
        method="GET", path="/api/overview", handler=system.overview, tag="system", summary="Everything at a glance",
        answer=system.Overview, query=system.OverviewQuery,
    ),
    Route(method="GET", path="/api/health", handler=system.show_health, tag="system", summary="Health of all parts",
          answer=list[Part]),
    Route(method="GET", path="/api/queues", handler=system.show_queues, tag="system",
          summary="What is under way, and what waits in Redis", answer=Work),
    Route(method="GET", path="/api/info", handler=system.show_info, tag="system", summary="Addresses",
          answer=system.Info),
    Route(method="POST", path="/api/token", handler=system.check_token, tag="system",
          summary="Tell whether the token is right", answer=dict[str, bool]),
    Route(method="GET", path="/api/stream", handler=system.stream, tag="system",
          summary="Server-sent events; Last-Event-ID resumes", answer=str),
    Route(method="GET", path="/api/runs", handler=runs.list_runs, tag="runs", summary="List runs, the newest first",
          answer=RunsPage, query=runs.RunsQuery),
    Route(method="POST", path="/api/runs", handler=runs.trigger, tag="runs",
          summary="Ask for a run, from a stage on, or by force", answer=runs.RunBegun, body=runs.RunAsked, status=202),
    Route(method="GET", path="/api/runs/{id}", handler=runs.show_run, tag="runs",
          summary="One run with its events", answer=runs.RunDetail),
    Route(method="GET", path="/api/runs/{id}/log", handler=runs.show_log, tag="runs",
          summary="The log lines of a run, of all services", answer=RunLog),
    Route(method="GET", path="/api/events", handler=events.list_events, tag="events",
          summary="List events, the newest first", answer=events.EventsPage, query=events.EventsQuery),
    Route(method="GET", path="/api/events/rate", handler=events.rate, tag="events",
          summary="Events a minute in the last hour", answer=list[int]),
    Route(method="GET", path="/api/events/dead", handler=events.list_dead, tag="events",
          summary="The dead letters with their errors", answer=list[events.DeadLetter]),
    Route(method="GET", path="/api/events/{id}", handler=events.show_event, tag="events", summary="One event",
          answer=events.EventShown),
    Route(method="POST", path="/api/events/{id}/retry", handler=events.retry, tag="events",
          summary="Give a dead letter new attempts", answer=events.Decided, status=202),
    Route(method="POST", path="/api/events/{id}/discard", handler=events.discard, tag="events",
          summary="Take a dead letter off the list", answer=events.Decided),
    Route(method="GET", path="/api/datasets", handler=datasets.list_datasets, tag="data", summary="List data sets",
          answer=list[DatasetLine]),
    Route(method="GET", path=_DATASET, handler=datasets.show_dataset, tag="data",
          summary="A data set: tables, snapshots, rejections", answer=datasets.DatasetDetail),
    Route(method="GET", path=f"{_DATASET}/snapshots/{{snapshot}}", handler=datasets.show_snapshot, tag="data",
          summary="A snapshot: its columns with small distributions", answer=datasets.SnapshotDetail),
    Route(method="POST", path=f"{_DATASET}/pause", handler=datasets.pause, tag="data",
          summary="Stop the schedule", answer=DatasetLine, body=datasets.Reason),
    Route(method="POST", path=f"{_DATASET}/resume", handler=datasets.resume, tag="data",
          summary="Let the schedule go on", answer=DatasetLine),
    Route(method="GET", path="/api/models", handler=models.list_models, tag="models", summary="List models",
          answer=list[Model]),
    Route(method="GET", path="/api/decisions", handler=models.list_history, tag="models",
          summary="Who decided what and why, the newest first", answer=list[Decision],
          query=models.HistoryQuery),
    Route(method="GET", path=_MODEL, handler=models.show_model, tag="models",
          summary="A model: versions, history, its last hour", answer=models.ModelDetail),
    Route(method="GET", path=f"{_MODEL}/versions", handler=models.list_versions, tag="models",
          summary="List versions, the newest first", answer=list[ModelVersion], query=models.VersionsQuery),
    Route(method="GET", path=_VERSION, handler=models.show_version, tag="models",
          summary="A version: manifest, report, model card", answer=models.VersionDetail),
    Route(method="GET", path=f"{_VERSION}/report/{{file}}", handler=models.show_report_file, tag="models",
          summary="A file of a version's report", answer=bytes),
    Route(method="GET", path=f"{_MODEL}/compare", handler=models.compare, tag="models",
          summary="Two versions on the same test rows", answer=Comparison, query=models.CompareQuery),
    Route(method="POST", path=f"{_MODEL}/promote", handler=models.promote, tag="models",
          summary="Make a version live", answer=models.Went, body=models.Decide),
    Route(method="POST", path=f"{_MODEL}/rollback", handler=models.rollback, tag="models",
          summary="Go back to the version before, or to an earlier one", answer=models.Went, body=models.Decide),
    Route(method="POST", path=f"{_MODEL}/pin", handler=models.pin, tag="models",
          summary="Keep the live version; later ones wait", answer=models.Went, body=models.Decide),
    Route(method="POST", path=f"{_MODEL}/unpin", handler=models.unpin, tag="models",
          summary="Let later versions go live", answer=models.Went, body=models.Decide),
    Route(method="POST", path=f"{_MODEL}/keep", handler=models.keep, tag="models",
          summary="Leave a held version held", answer=models.Went, body=models.Decide),
    Route(method="POST", path=f"{_MODEL}/shadow", handler=models.shadow, tag="models",
          summary="Run a version unseen beside the live one", answer=models.Went, body=models.Shadow),
    Route(method="GET", path="/api/serving", handler=asking.show_serving, tag="serving",
          summary="What inference serves", answer=dict[str, Any]),
    Route(method="POST", path="/api/ask", handler=asking.ask, tag="serving",
          summary="Ask several models for the same records", answer=list[asking.Answered], body=asking.Ask,
          changes=False, most_bytes=4 * 2**20),
]  # fmt: skip
