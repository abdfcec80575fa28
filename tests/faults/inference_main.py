"""The product's prediction API, with the protection taken away that CONTROL names."""

import os

from services.inference.main import main
from tests.faults import controls

controls.apply(os.environ.get("CONTROL", ""))
main()
