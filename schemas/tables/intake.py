"""What comes in from outside: events seen, keys used, acts appended, dead letters, offsets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field

from schemas.resets import ActKind, Channel, OutcomeKind
from schemas.tables.base import Json, Row, Words, one_of, serial


class EnvironmentRow(Row, table=True):
    """Counters of an environment. Who changes them holds the row until the commit: that is the order of things."""

    __tablename__ = "environments"

    name: str = Field(primary_key=True)
    last_number: int
    """Of its newest reset."""
    sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    """Of its last status event."""


class PositionRow(Row, table=True):
    """The next offset to read of a partition."""

    __tablename__ = "positions"

    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    next: int = Field(sa_column=Column(BigInteger, nullable=False))


class SeenEventRow(Row, table=True):
    """An event that was handled, and the reset that it led to, if it asked for one."""

    __tablename__ = "seen_events"

    key: str = Field(primary_key=True)
    """Digest of source and id: together they may be longer than PostgreSQL takes into an index."""
    source: str
    event_id: str
    reset_id: str | None = Field(default=None, foreign_key="resets.id")
    seen_at: datetime


class IdempotencyKeyRow(Row, table=True):
    """The first use of an idempotency key."""

    __tablename__ = "idempotency_keys"

    key: str = Field(primary_key=True)
    content_hash: str
    reset_id: str = Field(foreign_key="resets.id")


class JoinedRow(Row, table=True):
    """Somebody whose identical request a waiting reset absorbed."""

    __tablename__ = "joined_requesters"
    __table_args__ = (Index("ix_joined_requesters_reset_id", "reset_id"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_column=serial())
    reset_id: str = Field(foreign_key="resets.id")
    actor: str = Field(sa_type=Words)
    joined_at: datetime


class ActRow(Row, table=True):
    """An act; `seen` tells the claim which resets have unread ones, without looking at all of them."""

    __tablename__ = "acts"
    __table_args__ = (
        one_of("kind", ActKind),
        one_of("channel", Channel),
        one_of("outcome", OutcomeKind),
        Index("ix_acts_reset_id", "reset_id", "id"),
        Index("ix_acts_unseen", "reset_id", sqlite_where=text("seen = 0"), postgresql_where=text("NOT seen")),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=serial())
    reset_id: str = Field(foreign_key="resets.id")
    kind: str
    actor: str = Field(sa_type=Words)
    channel: str
    reason: str | None = Field(default=None, sa_type=Words)
    plan_hash: str | None = None
    step: str | None = None
    outcome: str | None = None
    replan: bool
    force: bool
    sequence: int | None = None
    last_status: int | None = None
    at: datetime
    seen: bool


class PendingActRow(Row, table=True):
    """An act for a reset that is not known yet: bound to it when its request arrives."""

    __tablename__ = "pending_acts"
    __table_args__ = (
        Index("ix_pending_acts_event_key", "event_key"),
        Index("ix_pending_acts_idempotency_key", "idempotency_key"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=serial())
    environment: str
    reset_id: str | None = None
    event_key: str | None = None
    """Digest of the source and id that it names, as in `seen_events`."""
    event_source: str | None = None
    event_id: str | None = None
    idempotency_key: str | None = None
    act: dict[str, Any] = Field(sa_type=Json)


class DeadLetterRow(Row, table=True):
    """A record that could not be read; the record itself is the message in the outbox."""

    __tablename__ = "dead_letters"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, sa_column=serial())
    reason: str = Field(sa_type=Words)
    detail: str = Field(sa_type=Words)
    topic: str
    partition: int
    record_offset: int = Field(sa_column=Column(BigInteger, nullable=False))
    outbox_id: int = Field(
        sa_column=Column(BigInteger, nullable=False),
    )
    at: datetime
