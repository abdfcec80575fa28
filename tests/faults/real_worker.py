"""The product's own worker of the service named by SERVICE, with the points of `points` to crash at."""

import importlib
import os
from pathlib import Path

from tests.faults.points import install

service = os.environ["SERVICE"]
install(service, Path(os.environ["CRASHES"]))
app = importlib.import_module(f"services.{service}.worker").app
