"""What to load, serve and retire, as a function of values: availability first.

What serves goes on serving until its successor is ready. Where the live version is refused, whatever serves stays; only
where nothing does (after a restart), the versions that were live before are tried, newest first.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from common.bundles.manifest import Aliases
from services.inference.serving.source import Fingerprint
from services.inference.serving.states import State

ON_DEMAND_KEPT = 2


@dataclass(frozen=True)
class View:
    """What the policy needs to know of a managed version. `changed`: its files differ from those last tried."""

    state: State
    changed: bool = False
    used: float = 0.0


@dataclass(frozen=True)
class Plan:
    """The next steps for one model."""

    load: int | None = None
    serve: int | None = None
    candidate: int | None = None
    retire: frozenset[int] = frozenset()


def plan(aliases: Aliases, managed: Mapping[int, View], serving: int | None) -> Plan:
    """The next steps: at most one load, so that its result is known before the next is chosen."""
    load, serve = _live(aliases, managed, serving)
    shadowed = aliases.candidate if aliases.shadow_share > 0 and aliases.candidate != aliases.live else None
    candidate = None
    if shadowed is not None and serve is not None:
        if _is_ready(managed, shadowed):
            candidate = shadowed
        elif load is None and _is_worth_a_try(managed, shadowed):
            load = shadowed
    needed = {serve, candidate, aliases.previous, load}
    idle = sorted(
        (version for version, view in managed.items() if view.state is State.READY and version not in needed),
        key=lambda version: managed[version].used,
        reverse=True,
    )
    return Plan(load, serve, candidate, frozenset(idle[ON_DEMAND_KEPT:]))


def _live(aliases: Aliases, managed: Mapping[int, View], serving: int | None) -> tuple[int | None, int | None]:
    """The version to load for going live, and the one to serve now."""
    for version in dict.fromkeys((aliases.live, *aliases.trail)):
        if _is_ready(managed, version):
            return None, version
        if _is_worth_a_try(managed, version):
            return version, serving
        if serving is not None:
            return None, serving
    return None, serving


def _is_ready(managed: Mapping[int, View], version: int) -> bool:
    return version in managed and managed[version].state is State.READY


def _is_worth_a_try(managed: Mapping[int, View], version: int) -> bool:
    view = managed.get(version)
    return view is None or view.state is State.NEW or (view.state is State.ERROR and view.changed)


def has_changed(tried: Fingerprint, now: Fingerprint) -> bool:
    """Tells whether a refused version deserves another try."""
    return tried != now
