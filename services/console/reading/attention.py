"""What needs a person: pure functions from rows to sentences. What is wrong, why, what it means, what to do."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from common.operations.models import Model


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What can be done: a page to open, or something that the page asks the server for."""

    label: str
    href: str = ""
    act: str = ""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that waits for a person."""

    kind: str
    title: str
    text: str
    code: str = ""
    at: datetime | None = None
    actions: list[Action] = []


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter, as far as it is told here."""

    id: UUID
    type: str
    subject: str
    family: str
    dataset: str | None
    error: str | None
    attempts: int
    dead_at: datetime


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A refused snapshot that no accepted one has followed."""

    event: UUID
    run: UUID | None
    dataset: str
    reason: str
    at: datetime
    in_use: int | None
    rows: list[dict[str, Any]] = []


# What an error's text tells of its cause, and whether trying again may help; the first that fits.
_CAUSES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("read-only file system", "errno 30"), "the folder cannot be written. Once it can, a retry should pass."),
    (("no space left", "errno 28"), "the disk is full. Make room, then retry."),
    (("permission denied", "errno 13"), "this process may not use the file. Correct its owner or mode, then retry."),
    (("memory",), "there was too little memory. Free some, or train on a sample (sample_rows), then retry."),
    (
        ("process was gone", "no attempt came back"),
        "the worker was killed while it worked: for want of memory, or past TRAIN_TIME_LIMIT_S or WORK_TIME_LIMIT_S.",
    ),
    (("connection", "does not answer", "refused"), "a server was away. If it is back, a retry should pass."),
    (("there is no data set", "spec"), "the data set's file is missing or wrong. Correct it, then retry."),
    (("no such file", "errno 2"), "a file is missing. Put it back, then retry."),
)


def likely_cause(error: str | None) -> str:
    """What probably lies behind an error, and what to do; a sentence in any case."""
    lowered = (error or "").lower()
    for words, sentence in _CAUSES:
        if any(word in lowered for word in words):
            return f"Likely cause: {sentence}"
    return "No known cause fits. The log of the run says more; a retry repeats exactly this step."


def held_items(models: Sequence[Model], reasons: dict[tuple[str, int], str]) -> list[Item]:
    """Versions that the gate holds back: the newest of each model."""
    items = []
    for model in models:
        if not model.held:
            continue
        version = model.held[0]
        keeps = f" Version {model.live} keeps serving." if model.live else ""
        compare = f"/models/{model.name}/compare/{model.live}..{version}"
        items.append(
            Item(
                kind="held",
                title=f"{model.name} {version} is held",
                text=f"{sentence(reasons.get((model.name, version), 'the gate holds it back'))}{keeps}",
                actions=[
                    *([Action(label=f"Compare {model.live} and {version}", href=compare)] if model.live else []),
                    Action(label="Decide", href=f"/models/{model.name}"),
                ],
            )
        )
    return items


def dead_items(dead: Sequence[Dead]) -> list[Item]:
    """Dead letters: one item, named after the newest."""
    if not dead:
        return []
    first = dead[0]
    what = first.subject if not first.family or first.family in first.subject else f"{first.subject} {first.family}"
    count = f"{len(dead)} dead letters" if len(dead) > 1 else "1 dead letter"
    retry = [Action(label="Retry now", act=f"retry:{first.id}")] if len(dead) == 1 else []
    times = "1 attempt" if first.attempts == 1 else f"{first.attempts} attempts"
    return [
        Item(
            kind="dead",
            title=f"{count}: {first.type} of {what}",
            text=f"Gave up after {times}.",
            code=(first.error or "")[:160],
            at=first.dead_at,
            actions=[Action(label="Look", href="/events?dead"), *retry],
        )
    ]


def rejected_items(rejections: Sequence[Rejection]) -> list[Item]:
    """Refused snapshots, one item per data set."""
    return [
        Item(
            kind="rejected",
            title=f"New data of {rejection.dataset} were rejected",
            text=sentence(rejection.reason)
            + (f" Snapshot {rejection.in_use} and its models stay in use." if rejection.in_use else ""),
            at=rejection.at,
            actions=[Action(label="See the rows", href=f"/data/{rejection.dataset}")],
        )
        for rejection in rejections
    ]


def spec_items(errors: dict[str, str]) -> list[Item]:
    """Data set files that cannot be read."""
    return [
        Item(
            kind="failed",
            title=f"{name}.toml is wrong",
            text=f"{sentence(error)} The data set is not looked at until it is right.",
            actions=[Action(label="See", href=f"/data/{name}")],
        )
        for name, error in errors.items()
    ]


def waiting_swaps(exposures: Sequence[dict[str, Any]]) -> list[Item]:
    """Tables that cannot show their newest snapshot because somebody reads in an open transaction."""
    return [
        Item(
            kind="held",
            title=f"Table {row['table_name']} still shows snapshot {row['shown']}",
            text=f"{sentence(row['waits_for'])} Training does not wait for it.",
            actions=[Action(label="See the tables", href=f"/data/{row['dataset']}")],
        )
        for row in exposures
    ]


def sentence(text: str) -> str:
    """A text with a capital and a full stop."""
    text = text.strip()
    if not text:
        return ""
    head = text[0].upper() if text.partition(" ")[0].isalpha() and text.partition(" ")[0].islower() else text[0]
    return f"{head}{text[1:]}" + ("" if text[-1] in ".!?" else ".")
