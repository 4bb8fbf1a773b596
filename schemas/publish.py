"""How a Python service publishes events for resetd: `to_kafka` makes key, value and headers of a record.

    wanted = ResetRequested(environment="qa-sandbox", requested_by="deploy-bot")
    key, value, headers = to_kafka(wanted, source="/deploy-bot")
    await producer.send_and_wait(topic_of(wanted), value, key=key, headers=headers)

The module works with any Kafka client. It needs `pydantic` and `cloudevents`, and nothing of the daemon.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

from cloudevents.core.bindings.kafka import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from schemas.requests import (
    CANCEL_REQUESTED,
    ENVIRONMENT_DEPROVISIONED,
    ENVIRONMENT_PROVISIONED,
    RESET_REQUESTED,
    RESUME_REQUESTED,
    CancelRequested,
    EnvironmentDeprovisioned,
    EnvironmentProvisioned,
    Mode,
    Option,
    RequestReference,
    ResetRequested,
    ResumeRequested,
)

__all__ = [
    "ENVIRONMENTS_TOPIC",
    "REQUESTS_TOPIC",
    "CancelRequested",
    "EnvironmentDeprovisioned",
    "EnvironmentProvisioned",
    "KafkaRecord",
    "Mode",
    "Option",
    "RequestReference",
    "ResetRequested",
    "ResumeRequested",
    "to_kafka",
    "topic_of",
]

REQUESTS_TOPIC = "fuse.environment-resets.requests.v1"
ENVIRONMENTS_TOPIC = "fuse.environments.v1"

Publishable = (
    ResetRequested | ResumeRequested | CancelRequested | EnvironmentProvisioned | EnvironmentDeprovisioned
)

_TYPES: dict[type[Publishable], tuple[str, str]] = {
    ResetRequested: (RESET_REQUESTED, REQUESTS_TOPIC),
    ResumeRequested: (RESUME_REQUESTED, REQUESTS_TOPIC),
    CancelRequested: (CANCEL_REQUESTED, REQUESTS_TOPIC),
    EnvironmentProvisioned: (ENVIRONMENT_PROVISIONED, ENVIRONMENTS_TOPIC),
    EnvironmentDeprovisioned: (ENVIRONMENT_DEPROVISIONED, ENVIRONMENTS_TOPIC),
}


class KafkaRecord(NamedTuple):
    """A record for any Kafka client. It unpacks as `key, value, headers`."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def to_kafka(
    event: Publishable,
    *,
    source: str,
    event_id: str | None = None,
    time: datetime | None = None,
    trace_parent: str | None = None,
) -> KafkaRecord:
    """Make the record of an event: a CloudEvent 1.0 in binary mode.

    `source` names the publisher (a URI reference such as `/deploy-bot`). resetd handles events of one source and id
    once. So give an `event_id` of your own, or an idempotency key, where publishing may be tried again; without an
    `event_id` each record gets a new UUID. `time` is when the event was asked for (an aware time; now unless given).
    Requests that are older than the daemon's RESETD_REQUEST_MAX_AGE are refused. Fields with their default value are
    left out of the data.
    """
    kind, _ = _TYPES[type(event)]
    attributes = {
        "specversion": "1.0",
        "id": event_id or str(uuid4()),
        "source": source,
        "type": kind,
        "subject": event.environment,
        "time": (time or datetime.now(UTC)).astimezone(UTC),
        "datacontenttype": "application/json",
        "partitionkey": event.environment,
    }
    if trace_parent is not None:
        attributes["traceparent"] = trace_parent
    data = event.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    message = to_binary(CloudEvent(attributes, data), JSONFormat())
    return KafkaRecord(event.environment.encode(), message.value, sorted(message.headers.items()))


def topic_of(event: Publishable) -> str:
    """Return the topic from which resetd reads such events, unless its settings name another."""
    return _TYPES[type(event)][1]
