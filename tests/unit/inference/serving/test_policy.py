"""What to load, serve and retire: availability first."""

import pytest

from common.bundles.manifest import FORMAT, Aliases
from services.inference.serving.policy import ON_DEMAND_KEPT, View, plan
from services.inference.serving.states import State

READY, ERROR, CHANGED = View(State.READY), View(State.ERROR), View(State.ERROR, changed=True)


def aliases(live: int = 2, *, trail: tuple[int, ...] = (2, 1), **more: object) -> Aliases:
    """Aliases of a model."""
    return Aliases(format=FORMAT, model="m", generation=1, live=live, trail=trail, **more)  # type: ignore[arg-type] # fields by name


def test_the_live_version_is_loaded_while_the_old_one_serves() -> None:
    """A new live version is to be loaded, and until it is ready the old one goes on serving."""
    steps = plan(aliases(), {1: READY}, serving=1)
    assert (steps.load, steps.serve) == (2, 1)


def test_a_ready_live_version_serves() -> None:
    """Once it is ready it is served, and nothing more is loaded."""
    steps = plan(aliases(), {1: READY, 2: READY}, serving=1)
    assert (steps.load, steps.serve) == (None, 2)


def test_a_refused_live_version_leaves_the_old_one() -> None:
    """What serves stays where the live version was refused, whatever the trail says."""
    steps = plan(aliases(3, trail=(3, 2, 1)), {3: ERROR, 1: READY}, serving=1)
    assert (steps.load, steps.serve) == (None, 1)


def test_after_a_restart_the_trail_is_tried_newest_first() -> None:
    """With nothing served and the live version refused, the versions that were live are tried in order."""
    wanted = aliases(3, trail=(3, 2, 1))
    assert plan(wanted, {3: ERROR}, serving=None).load == 2
    assert plan(wanted, {3: ERROR, 2: ERROR}, serving=None).load == 1
    assert plan(wanted, {3: ERROR, 2: ERROR, 1: READY}, serving=None).serve == 1
    assert plan(wanted, {3: ERROR, 2: ERROR, 1: ERROR}, serving=None).load is None


def test_a_refused_version_is_tried_again_only_when_its_files_change() -> None:
    """An unchanged refused version is left alone; a changed one is loaded."""
    assert plan(aliases(), {1: READY, 2: ERROR}, serving=1).load is None
    assert plan(aliases(), {1: READY, 2: CHANGED}, serving=1).load == 2


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_candidate_is_loaded_for_a_shadow_share_alone(share: float) -> None:
    """A candidate is loaded where a share of requests is to be shown to it, after the live version, never served."""
    wanted = aliases(candidate=5, shadow_share=share)
    assert plan(wanted, {2: READY}, serving=2).load == (5 if share else None)
    steps = plan(wanted, {2: READY, 5: READY}, serving=2)
    assert (steps.serve, steps.candidate) == (2, 5 if share else None)
    assert plan(wanted, {1: READY}, serving=1).load == 2


def test_the_versions_asked_for_last_are_kept() -> None:
    """Of versions that no alias needs, the two used last stay; live, previous and candidate always do."""
    managed = {version: View(State.READY, used=float(version)) for version in range(1, 9)}
    steps = plan(aliases(8, trail=(8,), previous=1, candidate=2, shadow_share=0.1), managed, serving=8)
    assert steps.retire == {3, 4, 5}
    assert len({6, 7}) == ON_DEMAND_KEPT
