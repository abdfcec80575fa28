"""The composition root of the preprocess worker: `celery -A services.preprocess.worker:app worker`."""

import os

from common.events.runtime import make_worker
from common.settings import load_settings
from services.preprocess.handlers import HANDLERS

settings = load_settings(os.environ)
app = make_worker("preprocess", HANDLERS, settings, time_limit_s=settings.work_time_limit_s)
