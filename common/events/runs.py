"""How a run ends: a pure function of its events."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from common.events import model
from common.events.model import Event


class RunEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What of an event decides how its run ends."""

    type: str
    subject: str
    open: bool
    dead: bool
    result: str | None
    error: str | None
    reason: str | None


class RunEnd(msgspec.Struct, frozen=True, kw_only=True):
    """State (completed, failed, superseded), outcome (trained, held, unchanged, ...), reason, models."""

    state: str
    outcome: str
    reason: str
    models: list[str]


def end_of(events: Sequence[RunEvent]) -> RunEnd | None:
    """How the run ends; None while an event of it is open.

    A dead letter fails the run, whatever else came of it; a rejection fails it too. A run that a newer snapshot
    overtook is superseded, unless it had published something before.
    """
    if any(event.open for event in events):
        return None
    models = [event.subject for event in events if event.type in {model.ModelPublished.type, model.ModelHeld.type}]
    state, outcome, reason = _verdict(events, anything_published=bool(models))
    return RunEnd(state=state, outcome=outcome, reason=reason, models=models)


def _verdict(events: Sequence[RunEvent], *, anything_published: bool) -> tuple[str, str, str]:
    """State, outcome and reason of a run without open events: the first rule that fits."""
    dead = next((event for event in events if event.dead), None)
    rejected = next((event for event in events if event.type == model.DatasetRejected.type), None)
    overtaken = next((event for event in events if event.result == "superseded"), None)
    held = [event for event in events if event.type == model.ModelHeld.type]
    if dead:
        why = dead.error or "no reason was recorded"
        return "failed", "failed", f"{dead.type} of {dead.subject} failed: {why}"
    if rejected:
        return "failed", "rejected", rejected.reason or "the data do not fit the spec"
    if overtaken and not anything_published:
        return "superseded", "superseded", overtaken.error or "a newer snapshot overtook it"
    if held:
        return "completed", "held", "; ".join(f"{event.subject}: {event.reason}" for event in held if event.reason)
    if anything_published:
        return "completed", "trained", ""
    if any(event.type == model.DatasetUnchanged.type for event in events):
        return "completed", "unchanged", "nothing new"
    return "completed", "done", ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What ends a run needs to know of it."""

    id: UUID
    dataset: str
    started_at: datetime


def ended_event(run: Run, end: RunEnd, *, cause: UUID, seconds: float) -> Event:
    """The event that says how a run ended."""
    kind = {"completed": model.RunCompleted, "failed": model.RunFailed, "superseded": model.RunSuperseded}[end.state]
    fields = {"dataset": run.dataset, "seconds": round(seconds, 3), "models": end.models, "reason": end.reason}
    data = msgspec.convert(fields, model.data_type(kind))
    return kind(data=data, subject=run.dataset, source="rookery/runtime", correlationid=run.id, causationid=cause)
