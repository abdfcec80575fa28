"""The worker of the service named by SERVICE, with handlers that do nothing but pass on."""

import os

from common.events.runtime import make_worker
from common.settings import load_settings
from tests.integration.events.chain import HANDLERS

service = os.environ["SERVICE"]
settings = load_settings(os.environ)
app = make_worker(service, HANDLERS[service], settings, time_limit_s=settings.work_time_limit_s)
