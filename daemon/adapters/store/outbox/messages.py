"""Messages of outbox rows: a status event is made of the line of history that its row names."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, cast

from sqlalchemy import RowMapping, select

from daemon.adapters.store.tables import HISTORY, OUTBOX, RESETS
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason
from schemas.records import Headers, Message
from schemas.resets import HistoryEntry
from schemas.wire import ResetId
from statemachines.history.status_record import Subject, status_record

MESSAGES = (
    select(
        OUTBOX.c.id,
        OUTBOX.c.topic,
        OUTBOX.c.key,
        OUTBOX.c.value,
        OUTBOX.c.headers,
        OUTBOX.c.reset_id,
        OUTBOX.c.sequence,
        HISTORY.c.at,
        HISTORY.c.type,
        HISTORY.c.data,
        HISTORY.c.hash,
        RESETS.c.environment,
        RESETS.c.event_id,
        RESETS.c.trace_parent,
    )
    .outerjoin(HISTORY, (HISTORY.c.reset_id == OUTBOX.c.reset_id) & (HISTORY.c.sequence == OUTBOX.c.sequence))
    .outerjoin(RESETS, RESETS.c.id == HISTORY.c.reset_id)
)
"""Select outbox rows with all that their messages are made of."""


def message_from_row(row: RowMapping) -> Message:
    """Return the message of a row of `MESSAGES`, byte for byte the same each time.

    Raises:
        TemporaryError: somebody removed the line of history or wrote into it. The outbox waits: passing the status
            over would leave a gap.
    """
    if row["reset_id"] is None:
        return Message(row["topic"], row["key"], row["value"], _headers(row["headers"]))
    subject = Subject(ResetId(row["reset_id"]), row["environment"], row["event_id"], row["trace_parent"])
    try:
        entry = HistoryEntry.model_validate({name: row[name] for name in HistoryEntry.model_fields})
    except ValueError as error:
        raise TemporaryError(
            Reason.UNAVAILABLE,
            f"line {row['sequence']} of the history of reset {row['reset_id']} is to be published, and is not there "
            "or is no such line",
            hint="`resetd db check` names the first line that is not as it was written.",
        ) from error
    record = status_record(subject, entry)
    return Message(row["topic"], record.key, record.value, record.headers)


def message_row(message: Message) -> dict[str, Any]:
    """Return the outbox row of a message that is published as it is."""
    return {
        "topic": message.topic,
        "key": message.key,
        "value": message.value,
        "headers": [[name, _base64(value)] for name, value in message.headers],
    }


def status_row(topic: str, entry: HistoryEntry) -> dict[str, Any]:
    """Return the outbox row of a line of history, whose status event is to be published."""
    return {"topic": topic, "reset_id": entry.reset_id, "sequence": entry.sequence}


def _headers(pairs: list[list[str | None]]) -> Headers:
    return cast("Headers", tuple((name, None if text is None else b64decode(text)) for name, text in pairs))


def _base64(value: bytes | None) -> str | None:
    """Encode a header's value. A record that came in may have a header without one, and its dead letter keeps that."""
    return None if value is None else b64encode(value).decode()
