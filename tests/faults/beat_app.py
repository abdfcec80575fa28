"""The harness's beat: the product's rounds without its chores, which need what the chain does not make."""

import os
from typing import Any

from celery import Celery, signals

from beat.scheduler import EventScheduler, Rounds
from common.events.broker import make_app
from common.events.publisher import Publisher
from common.logs import configure_logs
from common.settings import Settings, load_settings
from tests.faults import controls


def make_beat(settings: Settings) -> Celery:
    """The Celery app whose beat asks for what is due and sweeps."""
    celery = make_app(settings, "beat")
    celery.conf.update(
        beat_scheduler=f"{EventScheduler.__module__}:{EventScheduler.__name__}",
        beat_max_loop_interval=settings.sweep_interval_s,
        rookery_rounds=Rounds(settings, Publisher(celery), ()),
        rookery_interval_s=settings.sweep_interval_s,
    )

    def on_logging(**_: Any) -> None:
        configure_logs(settings, "beat")

    signals.setup_logging.connect(on_logging, weak=False)
    return celery


controls.apply(os.environ.get("CONTROL", ""))
app = make_beat(load_settings(os.environ))
