"""What goes out: the history of each reset, and the messages made of it."""

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
    """Over this line and the hash of the line before (`statemachines.history.chain`)."""


class PublisherRow(Row, table=True):
    """Which process publishes the outbox (`name`), until when; one row."""

    __tablename__ = "publishers"

    name: str = Field(primary_key=True)
    owner: str
    until: datetime


class OutboxRow(Row, table=True):
    """A message to publish, in the order of the ids; `refused` is why the broker will never take it.

    A status names its line of history, and is made of that when it is published: neither the line nor what else goes
    into the message ever changes. Whatever else is published has its bytes here.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_waiting",
            "id",
            sqlite_where=text("published_at IS NULL AND refused IS NULL"),
            postgresql_where=text("published_at IS NULL AND refused IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=serial())
    topic: str
    key: bytes | None = None
    value: bytes | None = None
    headers: list[list[str]] | None = Field(default=None, sa_type=Json)
    """Name and value in base64 of each, in order; None for a status, so that nobody publishes one as it lies here."""
    reset_id: str | None = None
    sequence: int | None = None
    published_at: datetime | None = None
    refused: str | None = Field(default=None, sa_type=Words)
