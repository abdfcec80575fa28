"""The composition root of the train worker: `celery -A services.train.worker:app worker`."""

import os

from common.events.runtime import make_worker
from common.settings import load_settings
from services.train import preload
from services.train.handlers import HANDLERS

settings = load_settings(os.environ)
app = make_worker("train", HANDLERS, settings, time_limit_s=settings.train_time_limit_s)
# Imported once, before the children are forked: they share the memory and start at once.
preload()
