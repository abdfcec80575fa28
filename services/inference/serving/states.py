"""The life of a managed version, as a table."""

from enum import Enum

from common.errors import ConflictError


class State(Enum):
    """Where a managed version stands."""

    NEW = "new"
    LOADING = "loading"
    READY = "ready"
    RETIRED = "retired"
    ERROR = "error"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.LOADING}),
    State.LOADING: frozenset({State.READY, State.ERROR}),
    State.READY: frozenset({State.RETIRED}),
    # Only a change of its files leads out of it: the policy asks for the load.
    State.ERROR: frozenset({State.LOADING, State.RETIRED}),
    State.RETIRED: frozenset(),
}


def move(state: State, to: State) -> State:
    """The state moved to. Raises ConflictError where the table has no such step."""
    if to not in TRANSITIONS[state]:
        raise ConflictError(f"a version that is {state.value} cannot become {to.value}")
    return to
