"""What comes in from outside: offsets, events that were seen, idempotency keys, acts and dead letters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, false, text
from sqlmodel import Field

from schemas.resets import ActKind, Channel, OutcomeKind
from schemas.tables.base import Json, Row, Words, one_of, serial


class EnvironmentRow(Row, table=True):
    """The counters of an environment. A transaction that changes them keeps the row locked, so such ones queue."""

    __tablename__ = "environments"

    name: str = Field(primary_key=True)
    last_number: int
    """Number of the environment's newest reset."""
    sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    """Environment sequence of the last status event."""


class PositionRow(Row, table=True):
    """The offset of a partition at which the intake reads next."""

    __tablename__ = "positions"

    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    next: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_offset: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    last_digest: str | None = None
    """With `last_offset`: the record that was stored last, by which the log is known again."""


class SeenEventRow(Row, table=True):
    """An event that was handled, and the reset that it led to, if any."""

    __tablename__ = "seen_events"
    __table_args__ = (
        Index("ix_seen_events_reset_id", "reset_id"),
        Index("ix_seen_events_seen_at", "seen_at"),
    )

    key: str = Field(primary_key=True)
    """Digest of source and id, which together may be longer than an index of PostgreSQL takes."""
    source: str
    event_id: str
    reset_id: str | None = Field(default=None, foreign_key="resets.id")
    seen_at: datetime


class IdempotencyKeyRow(Row, table=True):
    """The first use of an idempotency key, which belongs to the channel and the environment that it was used for."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (one_of("channel", Channel), Index("ix_idempotency_keys_reset_id", "reset_id"))

    channel: str = Field(primary_key=True)
    environment: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    content_hash: str
    reset_id: str = Field(foreign_key="resets.id")


class JoinedRow(Row, table=True):
    """A person whose identical request a waiting reset absorbed."""

    __tablename__ = "joined_requesters"
    __table_args__ = (
        one_of("channel", Channel),
        Index("ix_joined_requesters_reset_id", "reset_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=serial())
    reset_id: str = Field(foreign_key="resets.id")
    actor: str = Field(sa_type=Words)
    channel: str = Field(default=Channel.HTTP.value, sa_column_kwargs={"server_default": Channel.HTTP.value})
    """How the request came. Rows of an older version count as if a token had shown who it was."""
    joined_at: datetime


class ActRow(Row, table=True):
    """An act. By `seen` a claim finds the resets with unread acts without reading all acts."""

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
    check_name: str | None = Field(default=None, sa_type=Words)
    outcome: str | None = None
    replan: bool
    force: bool
    as_requester: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    sequence: int | None = None
    last_status: int | None = None
    at: datetime
    seen: bool


class PendingActRow(Row, table=True):
    """An act for a reset that is not known yet. It is bound to the reset when the request arrives."""

    __tablename__ = "pending_acts"
    __table_args__ = (
        Index("ix_pending_acts_event_key", "event_key"),
        Index("ix_pending_acts_idempotency_key", "idempotency_key"),
        Index("ix_pending_acts_at", "at"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=serial())
    environment: str
    reset_id: str | None = None
    event_key: str | None = None
    """Digest of the source and id that the act names, as in `seen_events`."""
    event_source: str | None = None
    event_id: str | None = None
    idempotency_key: str | None = None
    at: datetime | None = None
    """When it came; None where a replica of an older version stored it."""
    act: dict[str, Any] = Field(sa_type=Json)


class DeadLetterRow(Row, table=True):
    """A record that could not be read. The record itself is kept as the message in the outbox."""

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
