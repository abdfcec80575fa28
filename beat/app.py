"""The composition root of beat, and the Celery app that Flower looks through: `celery -A beat.app:app beat`."""

import os
from typing import Any

from celery import Celery, signals
from sqlalchemy.ext.asyncio import AsyncEngine

from beat.scheduler import Chores, EventScheduler, Rounds
from common.bundles.live import sweep_live
from common.bundles.retention import sweep_versions
from common.events.broker import make_app
from common.events.publisher import Publisher
from common.events.sweep import forget_overtaken, prune
from common.logs import configure_logs
from common.settings import Settings, load_settings
from common.snapshots import sweep_snapshots


async def tidy_snapshots(engine: AsyncEngine, _settings: Settings) -> None:
    """Shows the snapshots that are to be shown, and drops those that nobody needs."""
    await sweep_snapshots(engine)


def make_beat(settings: Settings) -> Celery:
    """The Celery app whose beat asks for what is due and sweeps."""
    celery = make_app(settings, "beat")
    chores = (
        Chores(every_s=5, chores=(tidy_snapshots, sweep_live, forget_overtaken)),
        Chores(every_s=60, chores=(sweep_versions, prune)),
    )
    celery.conf.update(
        beat_scheduler=f"{EventScheduler.__module__}:{EventScheduler.__name__}",
        beat_max_loop_interval=settings.sweep_interval_s,
        rookery_rounds=Rounds(settings, Publisher(celery), chores),
        rookery_interval_s=settings.sweep_interval_s,
    )

    def on_logging(**_: Any) -> None:
        configure_logs(settings, "beat")

    signals.setup_logging.connect(on_logging, weak=False)
    return celery


app = make_beat(load_settings(os.environ))
