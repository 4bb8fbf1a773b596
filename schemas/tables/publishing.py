"""What goes out: the history of each reset, and the messages that are made of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from schemas.tables.base import Json, Row, Words, serial


class HistoryRow(Row, table=True):
    """A line of a reset's history."""

    __tablename__ = "history"

    reset_id: str = Field(primary_key=True, foreign_key="resets.id")
    sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime
    type: str
    data: dict[str, Any] = Field(sa_type=Json)
    hash: str
    """Hash over this line and the hash of the line before (`statemachines.history.chain`)."""


class PublisherRow(Row, table=True):
    """The lease of the process that publishes the outbox: one row, by its `name`."""

    __tablename__ = "publishers"

    name: str = Field(primary_key=True)
    owner: str
    until: datetime


class OutboxRow(Row, table=True):
    """A message to publish. Messages are published in the order of their ids.

    The row of a status names its line of history (`reset_id`, `sequence`). The message is made of that line when it is
    published, which always gives the same message, because what goes into it never changes. The row of any other
    message has the message's bytes.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_waiting",
            "id",
            sqlite_where=text("published_at IS NULL AND refused IS NULL"),
            postgresql_where=text("published_at IS NULL AND refused IS NULL"),
        ),
        Index("ix_outbox_reset_id", "reset_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=serial())
    topic: str
    key: bytes | None = None
    value: bytes | None = None
    headers: list[list[str]] | None = Field(default=None, sa_type=Json)
    """Name of each header and its value in base64, in order. None for a status, which is not published from here."""
    reset_id: str | None = None
    sequence: int | None = None
    published_at: datetime | None = None
    refused: str | None = Field(default=None, sa_type=Words)
    """Why the broker will never take the message."""
