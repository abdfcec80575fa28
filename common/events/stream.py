"""The readable stream: every published event, as flat fields, for people with `redis-cli` and for the console."""

import msgspec

from common.events.model import Event

Fields = dict[str, str]


def flat(event: Event) -> Fields:
    """The event as the flat fields of a stream entry; `run` is its correlationid, `cause` its causationid."""
    fields = {
        "id": str(event.id),
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "time": event.time.isoformat(),
        "run": str(event.correlationid),
    }
    if event.causationid:
        fields["cause"] = str(event.causationid)
    if event.dataset:
        fields["dataset"] = event.dataset
    fields["data"] = msgspec.json.encode(event.data).decode()
    return fields
