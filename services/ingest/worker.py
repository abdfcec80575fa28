"""The composition root of the ingest worker: `celery -A services.ingest.worker:app worker`."""

import os

from common.events.runtime import make_worker
from common.settings import load_settings
from services.ingest.completeness import what_is_missing
from services.ingest.handlers import handlers, preload

settings = load_settings(os.environ)
app = make_worker("ingest", handlers(what_is_missing), settings, time_limit_s=settings.work_time_limit_s)
# Imported once, before the children are forked: they share the memory and start at once.
preload(settings)
