"""Judges a history: a pure function from what happened to what must not have happened."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from tests.faults.history import (
    Acknowledged,
    Asked,
    DeadLetter,
    Handled,
    Record,
    Refused,
    Released,
    Run,
    Served,
)

# One step of a run: event type and subject.
Step = tuple[str, str]
OK = range(200, 300)


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What broke an invariant, one sentence each; all empty in a good run."""

    lost: list[str] = []
    twice: list[str] = []
    unasked: list[str] = []
    versions: list[str] = []
    stuck: list[str] = []
    failed: list[str] = []
    unanswered: list[str] = []
    unverified: list[str] = []

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(msgspec.structs.astuple(self))

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {name: len(getattr(self, name)) for name in self.__struct_fields__}


def check(records: Sequence[Record], steps: Iterable[Step]) -> Findings:
    """Holds a history against the invariants; `steps` are those that each asked run has exactly once.

    1. Every acknowledged request has exactly one effect per step, and no effect is without a request.
    2. The versions of a model rise.
    3. Every run ends, none by a dead letter.
    4. Every answer is 2xx and is that of one version that was whole before.
    """
    handled = [record for record in records if isinstance(record, Handled)]
    runs = [record for record in records if isinstance(record, Run)]
    asked = {record.run for record in records if isinstance(record, Asked)}
    asked |= {run.run for run in runs if run.requested_by == "schedule"}
    acknowledged = {record.run for record in records if isinstance(record, Acknowledged)}
    acknowledged |= {run.run for run in runs if run.requested_by == "schedule"}
    return Findings(
        lost=list(_lost(acknowledged, handled, tuple(steps))),
        twice=list(_twice(handled)),
        unasked=[f"{effect.type} {effect.event} of run {effect.run}" for effect in handled if effect.run not in asked],
        versions=list(_versions(handled)),
        stuck=[f"run {run.run} of {run.dataset} has not ended" for run in runs if run.ended_at is None],
        failed=list(_failed(records)),
        unanswered=[
            f"status {answer.status} after {answer.seconds:.3f} s"
            for answer in records
            if isinstance(answer, Served) and answer.status not in OK
        ],
        unverified=list(_unverified(records)),
    )


def _lost(acknowledged: set[str], handled: Sequence[Handled], steps: tuple[Step, ...]) -> Iterable[str]:
    """Steps of acknowledged runs that have no effect."""
    done = {(effect.run, effect.type, effect.subject) for effect in handled}
    typed = {(effect.run, effect.type) for effect in handled}
    for run in sorted(acknowledged):
        for kind, subject in steps:
            if (run, kind, subject) not in done if subject else (run, kind) not in typed:
                yield f"{kind} {subject} of run {run}"


def _twice(handled: Sequence[Handled]) -> Iterable[str]:
    """Events, and steps of a run, that had more than one effect."""
    for what, count in Counter(effect.event for effect in handled).items():
        if count > 1:
            yield f"event {what} had {count} effects"
    events = {(effect.event, effect.run, effect.type, effect.subject) for effect in handled}
    for (run, kind, subject), count in Counter(step[1:] for step in events).items():
        if count > 1:
            yield f"{kind} {subject} of run {run} happened {count} times"


def _versions(handled: Sequence[Handled]) -> Iterable[str]:
    """Models whose versions do not rise in the order of their effects, whatever clock says when they were."""
    models: dict[str, list[Handled]] = {}
    for effect in handled:
        if effect.version is not None:
            models.setdefault(f"{effect.dataset}.{effect.subject}", []).append(effect)
    for model, made in models.items():
        for before, after in pairwise(made):
            if after.version is not None and before.version is not None and after.version <= before.version:
                yield f"{model} went from version {before.version} to {after.version}"


def _failed(records: Sequence[Record]) -> Iterable[str]:
    for record in records:
        if isinstance(record, DeadLetter):
            yield f"dead letter {record.type} {record.event}: {record.error}"
        elif isinstance(record, Run) and record.state == "failed":
            yield f"run {record.run} failed: {record.reason}"


def _unverified(records: Sequence[Record]) -> Iterable[str]:
    """Answers of a version that was not whole at that time, or that are not that version's own."""
    released = {
        (record.model, record.version): record.at for record in reversed(records) if isinstance(record, Released)
    }
    for answer in records:
        if not isinstance(answer, Served) or answer.status not in OK:
            continue
        since = released.get((answer.model, answer.version))
        if since is None or since > answer.at:
            yield f"{answer.model}@{answer.version} answered and was not published then"
        elif not answer.good:
            yield f"{answer.model}@{answer.version} gave an answer that is not its own"


def refusals(records: Iterable[Record]) -> list[Refused]:
    """The requests that were not taken."""
    return [record for record in records if isinstance(record, Refused)]
