"""The life of a version is a table."""

from itertools import product

import pytest

from common.errors import ConflictError
from services.inference.serving.states import TRANSITIONS, State, move

ALLOWED = {
    (State.NEW, State.LOADING),
    (State.LOADING, State.READY),
    (State.LOADING, State.ERROR),
    (State.READY, State.RETIRED),
    (State.ERROR, State.LOADING),
    (State.ERROR, State.RETIRED),
}


@pytest.mark.parametrize(("state", "to"), list(product(State, State)))
def test_every_pair_of_states(state: State, to: State) -> None:
    """Of all pairs of states, exactly those of the table are steps; any other is refused."""
    if (state, to) in ALLOWED:
        assert move(state, to) is to
    else:
        with pytest.raises(ConflictError):
            move(state, to)


def test_every_state_has_a_row() -> None:
    """No state is missing in the table."""
    assert set(TRANSITIONS) == set(State)
