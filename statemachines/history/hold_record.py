"""The CloudEvent that tells of a hold's end before it comes: key, value and headers of its record. Pure."""

from __future__ import annotations

from cloudevents.core.bindings.kafka import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from schemas.holds import HoldEnding
from schemas.records import Message
from statemachines.history.status_record import SOURCE

HOLD_ENDING = "com.fuse.environment.hold-ending.v1"
SCHEMA = "urn:fuse:environment-reset:hold-ending:v1"


def hold_ending(ending: HoldEnding, topic: str) -> Message:
    """Make the record. Its id is made of the hold and its end, so a reader knows one that comes twice."""
    attributes = {
        "specversion": "1.0",
        "id": f"{ending.hold_id}/{ending.expires_at.isoformat()}",
        "source": SOURCE,
        "type": HOLD_ENDING,
        "subject": ending.environment,
        "time": ending.occurred_at,
        "datacontenttype": "application/json",
        "dataschema": SCHEMA,
        "partitionkey": ending.environment,
    }
    data = ending.model_dump(mode="json", by_alias=True)
    record = to_binary(CloudEvent(attributes, data), JSONFormat())
    return Message(topic, ending.environment.encode(), record.value, tuple(sorted(record.headers.items())))
