"""The CloudEvent that is published of a line of history: key, value and headers of its record. Pure.

The record is in binary mode of the Kafka protocol binding, made by the package `cloudevents`. The event's id is made of
reset and sequence, so that a reader recognises a status that was published twice by its source and id.
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
"""The event's `dataschema`, which has to be an absolute URI. The schema itself is in `docs/asyncapi.yaml`."""


@dataclass(frozen=True)
class StatusRecord:
    """A record without its topic."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Subject:
    """What the records of a reset say beside its history: fields of the reset that never change."""

    id: ResetId
    environment: str
    event_id: str | None
    trace_parent: str | None

    @classmethod
    def of(cls, reset: Reset) -> Self:
        """Make the subject of a reset's records."""
        return cls(reset.id, reset.environment, reset.event_id, reset.trace_parent)


class _Format(JSONFormat):
    """The package's JSON format, by pydantic's writer, which also writes the JSON of the state database."""

    def write_data(self, data: object, datacontenttype: str | None) -> bytes:  # noqa: ARG002 - always JSON here
        """Write the data as JSON."""
        return to_json(data)


def committed(entry: HistoryEntry, *, environment_sequence: int, public_url: str) -> HistoryEntry:
    """Add to an entry what only its commit tells: the environment's sequence, and the address of the reset."""
    link = f"{public_url.rstrip('/')}/api/v1/resets/{entry.reset_id}"
    added = {"environmentSequence": environment_sequence, "links": {"self": link}}
    return entry.model_copy(update={"data": entry.data | added})


def status_record(reset: Subject, entry: HistoryEntry) -> StatusRecord:
    """Make the record of a committed entry of `reset`: the same bytes each time that it is made."""
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
