"""The composition root of the preprocess worker: `celery -A services.preprocess.worker:app worker`."""

import os

from common.events.runtime import make_worker
from common.settings import load_settings
from services.preprocess import preload
from services.preprocess.handlers import HANDLERS

settings = load_settings(os.environ)
app = make_worker("preprocess", HANDLERS, settings)
# Imported once, before the children are forked: they share the memory and start at once.
preload()
