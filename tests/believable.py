"""Rows of a system that has worked for a while: two data sets, live models, a held version, a dead letter, a rejection.

Written as rows, so that pages have something to show at once; nothing here was trained.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from common.database import tables
from common.settings import Settings
from tests.specs import PENGUINS, PENGUINS_CSV

WINE = """
target = "cultivar"
task = "classification"
default_model = "random_forest"
metric = "accuracy"
[source]
kind = "csv"
path = "wine.csv"
[features]
numeric = ["alcohol", "ash"]
[families.random_forest]
estimator = "sklearn.ensemble.RandomForestClassifier"
[families.svc]
estimator = "sklearn.svm.SVC"
scale = true
calibrated = true
"""
FAMILIES = ("logistic_regression", "random_forest", "svc")
HELD = "accuracy 0.8358, live version 11 has 0.9851 on the same 67 test rows: a change of at least -0.05 is asked for"
READ_ONLY = "[Errno 30] Read-only file system: 'shared/models/versions/wine.svc'"
TICKS = 14


class Seed:
    """Writes rows, and remembers what pages are asked for."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.began = datetime.now(UTC) - timedelta(hours=1)
        self.done, self.held, self.failed = uuid4(), uuid4(), uuid4()
        self.dead: list[UUID] = []

    async def write(self) -> None:
        """Everything."""
        await self._models()
        await self._snapshots()
        await self._run(self.done, "penguins", minutes=0, outcome="trained", versions=10)
        for tick in range(TICKS):
            await self._tick(minutes=2 + tick)
        await self._run(self.held, "penguins", minutes=20, outcome="held", versions=12, reason=f"random_forest: {HELD}")
        await self._run(self.failed, "wine", minutes=25, outcome="failed", families=("random_forest", "svc"), dead=3)
        await self._rejection()

    async def _row(self, table: Any, **values: Any) -> None:
        await self._connection.execute(insert(table).values(**values))

    async def _event(self, run: UUID, kind: str, at: datetime, **values: Any) -> UUID:
        """An event that was handled, unless told otherwise."""
        event = uuid4()
        took = values.pop("took", None)
        row: dict[str, Any] = {
            "id": event,
            "type": kind,
            "source": "rookery/test",
            "correlationid": run,
            "data": {},
            "part_of_run": kind not in {"model.published", "model.held"},
            "time": at,
            "due_at": at,
            "published_at": at,
            "handled_at": at + timedelta(seconds=took or 0),
            "result": "handled",
        }
        if took is not None:
            row |= {"started_at": at + timedelta(milliseconds=12), "attempts": 1, "owner": "host/712/1/1"}
        await self._row(tables.events, **(row | values))
        return event

    async def _run(
        self,
        run: UUID,
        dataset: str,
        *,
        minutes: float,
        outcome: str,
        versions: int | None = None,
        families: Sequence[str] = FAMILIES,
        reason: str | None = None,
        dead: int = 0,
    ) -> None:
        at = self.began + timedelta(minutes=minutes)
        state = "failed" if outcome == "failed" else "completed"
        ended = at + timedelta(seconds=3)
        await self._row(
            tables.runs, id=run, dataset=dataset, state=state, outcome=outcome, reason=reason, requested_by="change",
            urgent=False, started_at=at, ended_at=ended,
        )  # fmt: skip
        about = {"dataset": dataset, "subject": dataset}
        asked = await self._event(run, "ingest.requested", at, took=0.2, queue="rookery.ingest", **about)
        data = {"dataset": dataset, "snapshot": 42, "rows": 344}
        ingested = await self._event(
            run, "dataset.ingested", at + timedelta(seconds=0.2), took=0.15, queue="rookery.preprocess",
            causationid=asked, data=data, **about,
        )  # fmt: skip
        ready = await self._event(
            run, "dataset.preprocessed", at + timedelta(seconds=0.4), took=0.02, queue="rookery.train",
            causationid=ingested, data={**data, "rows_kept": 333, "rows_dropped": {"sex is missing": 11}}, **about,
        )  # fmt: skip
        for number, family in enumerate(families):
            given_up = dead if family == "svc" else 0
            await self._training(
                run, dataset, family, ready, at=at + timedelta(seconds=0.5 + number / 9), dead=given_up
            )
            if versions is not None:
                await self._result(run, family, versions, at + timedelta(seconds=1.5), held=outcome == "held")
        await self._event(run, f"run.{state}", ended, causationid=ready, data={"reason": reason or ""}, **about)

    async def _training(self, run: UUID, dataset: str, family: str, cause: UUID, *, at: datetime, dead: int) -> None:
        values: dict[str, Any] = {
            "took": 0.7,
            "queue": "rookery.train",
            "dataset": dataset,
            "subject": f"{dataset}.{family}",
            "causationid": cause,
            "data": {"dataset": dataset, "family": family, "snapshot": 42},
        }
        if not dead:
            await self._event(run, "training.requested", at, **values)
        for _ in range(dead):
            error = {"at": at.isoformat(), "error": READ_ONLY, "owner": "host/712/1/1", "attempt": 5}
            values |= {"handled_at": None, "result": None, "dead_at": at, "attempts": 5, "error": READ_ONLY}
            self.dead.append(await self._event(run, "training.requested", at, **values, errors=[error]))

    async def _result(self, run: UUID, family: str, version: int, at: datetime, *, held: bool) -> None:
        is_held = held and family == "random_forest"
        data = {"model": family, "version": version, "dataset": "penguins", "reason": HELD if is_held else "passed"}
        about: dict[str, Any] = {"dataset": "penguins", "subject": family, "data": data}
        await self._event(run, "model.held" if is_held else "model.published", at, took=0.5, queue="train", **about)
        await self._row(
            tables.model_versions, model=family, version=version, dataset="penguins", family=family, run_id=run,
            state="held" if is_held else "published", snapshot=42, rows_train=266, rows_test=67, seconds=0.7,
            metrics={"accuracy": 0.8358 if is_held else 0.9851}, reason=data["reason"], created_at=at, published_at=at,
        )  # fmt: skip

    async def _models(self) -> None:
        await self._row(
            tables.model_versions, model="random_forest", version=11, dataset="penguins", family="random_forest",
            state="published", snapshot=41, metrics={"accuracy": 0.9851}, created_at=self.began,
        )  # fmt: skip
        for family, live in zip(FAMILIES, (12, 11, 12), strict=True):
            await self._row(
                tables.live_models, model=family, dataset="penguins", generation=2, live=live, previous=10,
                pinned=family == "svc", trail=[live, 10], decided_at=self.began, written_generation=2,
            )  # fmt: skip
            await self._row(
                tables.decisions, id=uuid4(), model=family, version=live, action="publish", actor="train",
                reason="accuracy 0.9851; passed the gate", at=self.began,
            )  # fmt: skip

    async def _snapshots(self) -> None:
        for number in (41, 42):
            await self._row(
                tables.snapshots, dataset="penguins", number=number, state="dropped" if number == 41 else "ready",
                rows=344, rows_kept=333, rows_dropped={"sex is missing": 11}, columns=[], created_at=self.began,
            )  # fmt: skip
        await self._row(tables.exposures, table_name="penguins", dataset="penguins", wanted=42, shown=42)

    async def _tick(self, *, minutes: float) -> None:
        run, at = uuid4(), self.began + timedelta(minutes=minutes)
        await self._row(
            tables.runs, id=run, dataset="penguins", state="completed", outcome="unchanged", requested_by="schedule",
            urgent=False, started_at=at, ended_at=at,
        )  # fmt: skip
        await self._event(run, "ingest.requested", at, took=0.01, dataset="penguins", subject="penguins")

    async def _rejection(self) -> None:
        reason = "column alcohol is to be numeric, but holds '13,20' in row 5"
        run, at = uuid4(), self.began + timedelta(minutes=40)
        await self._row(
            tables.runs, id=run, dataset="wine", state="failed", outcome="rejected", reason=reason,
            requested_by="schedule", urgent=False, started_at=at, ended_at=at,
        )  # fmt: skip
        event = await self._event(
            run, "ingest.requested", at, took=0.1, dataset="wine", subject="wine", queue="rookery.ingest"
        )
        await self._event(
            run, "dataset.rejected", at, dataset="wine", subject="wine", causationid=event, data={"reason": reason}
        )
        await self._row(
            tables.rejections, event_id=event, dataset="wine", reason=reason, rows=[{"alcohol": "13,20"}], at=at
        )


def write_specs(settings: Settings) -> None:
    """The files of both data sets."""
    (settings.datasets_dir / "penguins.toml").write_text(PENGUINS, encoding="utf-8")
    (settings.data_dir / "penguins.csv").write_text(PENGUINS_CSV, encoding="utf-8")
    (settings.datasets_dir / "wine.toml").write_text(WINE, encoding="utf-8")
    (settings.data_dir / "wine.csv").write_text("cultivar,alcohol,ash\nbarolo,14.2,2.4\n", encoding="utf-8")
