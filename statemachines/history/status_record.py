"""A line of a reset's history as the CloudEvent that is published: key, value and headers of the record. Pure.

Binary mode of the Kafka protocol binding, by the `cloudevents` package. The id is made of reset and sequence, so
that a status published twice is recognised by (source, id) wherever it arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cloudevents.core.bindings.kafka import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic_core import to_json

from schemas.resets import HistoryEntry, Reset
from schemas.wire import ResetId

SOURCE = "/resetd"
SCHEMA = "urn:fuse:environment-reset:status:v1"
"""`dataschema`: has to be an absolute URI; the schema itself is `docs/asyncapi.yaml`."""


@dataclass(frozen=True)
class StatusRecord:
    """A record but for its topic."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Subject:
    """What the records of a reset say of it beside the entries: nothing that ever changes."""

    id: ResetId
    environment: str
    event_id: str | None
    trace_parent: str | None

    @classmethod
    def of(cls, reset: Reset) -> Self:
        """The subject that a reset is."""
        return cls(reset.id, reset.environment, reset.event_id, reset.trace_parent)


class _Format(JSONFormat):
    """The package's, by the JSON writer that everything else here uses."""

    def write_data(self, data: object, datacontenttype: str | None) -> bytes:  # noqa: ARG002 - always JSON here
        """The data as JSON."""
        return to_json(data)


def committed(entry: HistoryEntry, *, environment_sequence: int, public_url: str) -> HistoryEntry:
    """The entry with what is known only when it is committed."""
    link = f"{public_url.rstrip('/')}/api/v1/resets/{entry.reset_id}"
    added = {"environmentSequence": environment_sequence, "links": {"self": link}}
    return entry.model_copy(update={"data": entry.data | added})


def status_record(reset: Subject, entry: HistoryEntry) -> StatusRecord:
    """The record of a committed entry of `reset`: byte for byte the same whenever it is made."""
    attributes = {
        "specversion": "1.0",
        "id": f"{reset.id}/{entry.sequence}",
        "source": SOURCE,
        "type": entry.type,
        "subject": f"{reset.environment}/{reset.id}",
        "time": entry.at,
        "datacontenttype": "application/json",
        "dataschema": SCHEMA,
        "partitionkey": reset.environment,
        "correlationid": str(reset.id),
    }
    if reset.event_id is not None:
        attributes["causationid"] = reset.event_id
    if reset.trace_parent is not None:
        attributes["traceparent"] = reset.trace_parent
    message = to_binary(CloudEvent(attributes, entry.data), _Format())
    return StatusRecord(
        key=reset.environment.encode(),
        value=message.value,
        headers=tuple(sorted(message.headers.items())),
    )
