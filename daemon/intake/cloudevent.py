"""Reads a Kafka record as a CloudEvent 1.0, in binary or structured mode.

Source: CloudEvents 1.0.2 and its Kafka protocol binding. The content type decides the mode, as the binding says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from cloudevents.core.bindings import kafka
from cloudevents.core.exceptions import BaseCloudEventException
from cloudevents.core.formats.json import JSONFormat

from schemas.reasons import Reason
from schemas.records import Record
from schemas.wire import TRACE_PARENT

LONGEST_NAME = 1000
"""Characters that a source or an id may have."""


class UnreadableError(Exception):
    """The record is a dead letter. `reason` is one of the closed list, `detail` is for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Event:
    """What resetd uses of a CloudEvent."""

    source: str
    id: str
    type: str
    time: datetime
    """The event's, or the record's where it has none; in UTC."""
    data: object
    """Any JSON value; None where the event has no data."""
    trace_parent: str | None


class _Parts:
    """What the parser found. The library's own event type makes up an id and a time where they are missing."""

    def __init__(self, attributes: dict[str, Any], data: object) -> None:
        self.attributes = attributes
        self.data = data


def read(record: Record) -> Event:
    """The event that a record carries.

    Raises:
        UnreadableError: it is not a CloudEvent, or its data is not a JSON object.
    """
    headers = _headers(record)
    content_type = headers.get("content-type", b"").split(b";")[0].strip().lower()
    structured = content_type.startswith(b"application/cloudevents")
    if record.value is None:
        raise UnreadableError(Reason.NOT_A_CLOUD_EVENT, "the record has no value")
    if not structured and not any(name.startswith("ce_") for name in headers):
        raise UnreadableError(
            Reason.NOT_A_CLOUD_EVENT,
            "it has neither ce_ headers nor the content type application/cloudevents+json",
        )
    if structured and content_type != b"application/cloudevents+json":
        raise UnreadableError(Reason.NOT_A_CLOUD_EVENT, "of the structured formats only JSON is read")
    message = kafka.KafkaMessage(headers=headers, key=None, value=record.value)
    parse: Callable[..., object] = kafka.from_structured if structured else kafka.from_binary
    try:
        event = cast("_Parts", parse(message, JSONFormat(), _Parts))
    except UnicodeDecodeError as error:
        raise UnreadableError(Reason.MALFORMED_JSON, f"not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise _why(error) from error
    except BaseCloudEventException as error:
        raise UnreadableError(Reason.NOT_A_CLOUD_EVENT, _first_line(error)) from error
    except (TypeError, AttributeError, KeyError) as error:
        # The library reads any JSON as an object: a list or a number makes it fail like this.
        raise UnreadableError(Reason.NOT_A_CLOUD_EVENT, "the JSON is not an event") from error
    return _event(event, record, structured=structured)


def _headers(record: Record) -> dict[str, bytes]:
    headers: dict[str, bytes] = {}
    for name, value in record.headers:
        if value is not None:
            headers[name.lower()] = value
    return headers


def _why(error: ValueError | RecursionError) -> UnreadableError:
    if isinstance(error, RecursionError):
        return UnreadableError(Reason.MALFORMED_JSON, "it is nested too deeply")
    if type(error).__name__ == "JSONDecodeError":
        return UnreadableError(Reason.MALFORMED_JSON, _first_line(error))
    return UnreadableError(Reason.NOT_A_CLOUD_EVENT, _first_line(error))


def _event(event: _Parts, record: Record, *, structured: bool) -> Event:
    attributes = event.attributes
    if attributes.get("specversion") != "1.0":
        raise UnreadableError(Reason.NOT_A_CLOUD_EVENT, "its specversion is not 1.0")
    names = {name: _name(attributes, name) for name in ("source", "id", "type")}
    trace = attributes.get("traceparent")
    return Event(
        source=names["source"],
        id=names["id"],
        type=names["type"],
        time=_time(attributes.get("time"), record),
        data=_data(event, record, structured=structured),
        trace_parent=trace if isinstance(trace, str) and TRACE_PARENT.fullmatch(trace) else None,
    )


def _time(own: object, record: Record) -> datetime:
    try:
        if isinstance(own, datetime):
            return own.replace(tzinfo=own.tzinfo or UTC).astimezone(UTC)
        return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        detail = "its time, or the record's, is outside of the years 1 to 9999"
        raise UnreadableError(Reason.NOT_A_CLOUD_EVENT, detail) from error


def _data(event: _Parts, record: Record, *, structured: bool) -> object:
    """The data, read as JSON whatever its content type: the value in binary mode, else `data` or `data_base64`."""
    content = event.data if structured else record.value
    if not isinstance(content, bytes):
        return content
    try:
        return json.loads(content)
    except UnicodeDecodeError as error:
        raise UnreadableError(Reason.MALFORMED_JSON, "its data is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(Reason.MALFORMED_JSON, "its data is not JSON") from error


def _name(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name)
    if not isinstance(value, str) or not value or len(value) > LONGEST_NAME or not value.isprintable():
        raise UnreadableError(Reason.NOT_A_CLOUD_EVENT, f"its {name} is missing or no printable text")
    return value


def _first_line(error: BaseException) -> str:
    """The first line of what a parser said: later lines may hold the value that it could not read."""
    return (str(error).splitlines() or ["unreadable"])[0][:300]
