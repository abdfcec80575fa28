"""What is due: a pure function of the data sets' intervals and the database's clock."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from common.events.retry import wait_after_failures_s

# A data set whose runs fail is still looked at this often, so that it works again soon after its source does.
LONGEST_WAIT_S = 600.0


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A data set whose time has come; `window` numbers its intervals since 1970."""

    dataset: str
    window: int


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A run that ended: well, or failed (by a rejection or a dead letter)."""

    failed: bool
    at_s: float


def next_try_s(runs: Sequence[Ended], interval_s: float) -> float:
    """When a data set is tried again after its last runs, the newest first: later with each that failed in a row."""
    failures = next((number for number, run in enumerate(runs) if not run.failed), len(runs))
    return runs[0].at_s + wait_after_failures_s(failures, interval_s, longest_s=LONGEST_WAIT_S) if failures else 0.0


def due_ticks(
    intervals_s: Mapping[str, float],
    *,
    now_s: float,
    paused: Collection[str],
    busy: Collection[str],
    ticked: Mapping[str, int],
    ended: Mapping[str, Sequence[Ended]],
) -> list[Tick]:
    """The ticks to emit: one per data set whose current window has none yet.

    Windows that passed while nobody looked are caught up by the current one alone. A paused data set has no ticks, and
    one with an open ingest none either. `ticked` gives the last window that is known to have its tick. After failures
    (`ended` gives the last runs, the newest first) windows are left out; not so the first one that this beat sees,
    since what was set right while it was down has told nobody.
    """
    windows = {name: int(now_s // interval_s) for name, interval_s in intervals_s.items()}
    return [
        Tick(dataset=name, window=window)
        for name, window in windows.items()
        if name not in paused
        and name not in busy
        and ticked.get(name) != window
        and (name not in ticked or now_s >= next_try_s(ended.get(name, ()), intervals_s[name]))
    ]


class Changes:
    """What the sources and specs of the data sets looked like, to tell which of them changed.

    A change is told once it has been the same in two looks: a file that is being written is left alone. What is seen
    first is no change, since the first tick looks at it anyway.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._seen: dict[str, str] = {}

    def look(self, marks: Mapping[str, str], *, silent: Collection[str]) -> dict[str, str]:
        """The data sets that changed, with their marks; a silent one is told when it is silent no more."""
        settled = {name: mark for name, mark in marks.items() if self._seen.get(name) == mark}
        self._seen = dict(marks)
        changed = {name: mark for name, mark in settled.items() if self._known.get(name, mark) != mark}
        told = {name: mark for name, mark in changed.items() if name not in silent}
        self._known |= {name: mark for name, mark in settled.items() if name not in changed} | told
        return told
