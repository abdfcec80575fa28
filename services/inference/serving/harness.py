"""One managed version: its state, why it has it, and what it serves when ready."""

from dataclasses import dataclass, field

from services.inference.serving.serving_map import Served
from services.inference.serving.source import Fingerprint
from services.inference.serving.states import State, move


@dataclass
class Harness:
    """A version under management; `served` is set exactly while it is READY."""

    model: str
    version: int
    state: State = State.NEW
    reason: str = ""
    served: Served | None = None
    # What its files looked like when the load began: a refused version is tried again only when this changes.
    fingerprint: Fingerprint = field(default=())
    used: float = 0.0

    def begin(self, fingerprint: Fingerprint) -> None:
        """Starts to load."""
        self.state = move(self.state, State.LOADING)
        self.fingerprint = fingerprint
        self.reason = ""

    def ready(self, served: Served) -> None:
        """Has loaded."""
        self.state = move(self.state, State.READY)
        self.served = served

    def refuse(self, reason: str) -> None:
        """Cannot be loaded."""
        self.state = move(self.state, State.ERROR)
        self.reason = reason

    def retire(self) -> None:
        """Is no longer needed. Requests under way keep the object that they hold."""
        self.state = move(self.state, State.RETIRED)
        self.served = None
