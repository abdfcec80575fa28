"""Writes what the documentation says of settings and events from the code: docs/settings.md and docs/events.md.

`python scripts/make_docs.py` writes them; with `--check` it says which of them are out of date.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import yaml

from common.events.model import EVENT_TYPES, Event, data_type
from common.events.topology import EMITTERS, EXCHANGE, STREAM, SUBSCRIPTIONS, queue_of
from common.settings import SECRETS, Settings

DOCS = Path(__file__).parent.parent / "docs"
MADE = "Made from the code by `scripts/make_docs.py`; a test holds it against the code.\n"


def settings_page() -> str:
    """Every setting in one table."""
    hints = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        meanings = [one.description for one in hints[field.name].__metadata__ if isinstance(one, msgspec.Meta)]
        meaning = next(filter(None, meanings))
        default = "" if field.default in ("", None) else f"`{field.default}`"
        name = f"`{field.encode_name}`" + (f" `{field.encode_name}_FILE`" if field.name in SECRETS else "")
        rows.append(f"| {name} | {default} | {meaning} |")
    return (
        "# Settings\n\n"
        f"{MADE}\nAll are read from the environment, by the process's composition root alone; `rookery up` also reads"
        " them from `.env` in the folder it is started in. An empty value counts as not set. A secret may come from a"
        " file instead, named by the variable with `_FILE`. A wrong value ends the process with one line that names it."
        "\n\n"
        "| variable | default | meaning |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


def _summary(kind: type[Event]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _table() -> str:
    rows = [
        f"| `{name}` | {', '.join(EMITTERS[name])} | {SUBSCRIPTIONS.get(name, '')} | {_summary(kind)} |"
        for name, kind in EVENT_TYPES.items()
    ]
    return "| type | emitted by | handled by | meaning |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _payload(kind: type[Event]) -> dict[str, Any]:
    """The JSON Schema of an event as it is on the wire."""
    _, components = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    schema = dict(components[kind.__name__])
    (_,), data = msgspec.json.schema_components([data_type(kind)], ref_template="#/components/schemas/{name}")
    body = dict(next(iter(data.values())))
    schema["properties"] = {"type": {"const": kind.type}} | schema["properties"] | {"data": body}
    bare: dict[str, Any] = _without_titles(schema)
    return bare


def _without_titles(value: Any) -> Any:
    """A schema without the names of our classes and their docstrings, which say nothing on the wire."""
    if isinstance(value, Mapping):
        return {key: _without_titles(one) for key, one in value.items() if key not in ("title", "description")}
    return [_without_titles(one) for one in value] if isinstance(value, list) else value


def asyncapi() -> dict[str, Any]:
    """The events as an AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0)."""
    channels: dict[str, Any] = {
        "stream": {
            "address": STREAM,
            "description": "A capped Redis stream of all events, as flat fields; for people and for the console.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in EVENT_TYPES},
        }
    }
    operations: dict[str, Any] = {}
    for service in sorted(set(SUBSCRIPTIONS.values())):
        names = [name for name, handler in SUBSCRIPTIONS.items() if handler == service]
        channels[service] = {
            "address": queue_of(names[0]),
            "description": f"The queue of {service}, bound to exchange `{EXCHANGE}` by the events' types.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        }
        operations[f"{service}Handles"] = {"action": "receive", "channel": {"$ref": f"#/channels/{service}"}}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Rookery events", "version": "1.0.0"},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                name: {"name": name, "summary": _summary(kind), "payload": _payload(kind)}
                for name, kind in EVENT_TYPES.items()
            }
        },
    }


def events_page() -> str:
    """The events as a table, and as AsyncAPI."""
    document = yaml.safe_dump(asyncapi(), sort_keys=False, width=120)
    return (
        f"# Events\n\n{MADE}\nAn event has the attributes of CloudEvents 1.0. `correlationid` is the run, `causationid`"
        " the event that caused it. On the wire it is a Celery task: name = type, id = the event's id, routing key ="
        " type, with the event as its keyword argument. What nobody handles stands in Postgres and in the stream alone."
        "\n\n"
        f"{_table()}\n## AsyncAPI\n\n```yaml\n{document}```\n"
    )


PAGES = {"settings.md": settings_page, "events.md": events_page}


def main() -> int:
    """Writes the pages, or says which are out of date."""
    stale = [name for name, page in PAGES.items() if not _is_current(DOCS / name, page())]
    if "--check" in sys.argv:
        for name in stale:
            sys.stderr.write(f"docs/{name} is out of date; run scripts/make_docs.py\n")
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(PAGES[name]())
    return 0


def _is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
