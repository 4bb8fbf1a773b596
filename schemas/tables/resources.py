"""Resources: the locks on them with their history, what protected environments use, and what people say about that."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field

from schemas.protection import WordKind
from schemas.tables.base import Json, Row, Words, one_of, serial


class CounterRow(Row, table=True):
    """A number that only grows. The row `ticket` counts the tickets of the queue for locks."""

    __tablename__ = "counters"

    name: str = Field(primary_key=True)
    value: int = Field(sa_column=Column(BigInteger, nullable=False))


class StateRow(Row, table=True):
    """The id of this state database, in one row. By it each mark beside the backups belongs to one state database."""

    __tablename__ = "state"

    id: str = Field(primary_key=True)


class LockRow(Row, table=True):
    """A lock that a reset holds or waits for."""

    __tablename__ = "locks"
    __table_args__ = (
        Index(
            "uq_locks_one_holder",
            "key",
            unique=True,
            sqlite_where=text("granted = 1"),
            postgresql_where=text("granted"),
        ),
        Index("ix_locks_reset_id", "reset_id"),
    )

    key: str = Field(primary_key=True)
    reset_id: str = Field(primary_key=True, foreign_key="resets.id")
    environment: str
    ticket: int = Field(sa_column=Column(BigInteger, nullable=False))
    granted: bool
    since: datetime
    """When the lock was granted, or asked for where it is not granted."""


class LockHistoryRow(Row, table=True):
    """A lock that was granted. The ids of one key grow in the order in which resets held it."""

    __tablename__ = "lock_history"
    __table_args__ = (
        Index("ix_lock_history_key", "key", "id"),
        Index("ix_lock_history_reset_id", "reset_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=serial())
    key: str
    reset_id: str
    """The reset that held it. A reset of a state that was lost has no row in `resets`."""
    ticket: int = Field(sa_column=Column(BigInteger, nullable=False))
    granted_at: datetime
    released_at: datetime | None = None


class ProtectedUseRow(Row, table=True):
    """A resource that an environment of a protected kind was seen to use. It is remembered for good."""

    __tablename__ = "protected_uses"
    __table_args__ = (Index("ix_protected_uses_key", "key"),)

    environment: str = Field(primary_key=True)
    service: str = Field(primary_key=True)
    """Empty for a repository, and where it was not kept."""
    database: str = Field(primary_key=True)
    """The catalog's name; empty for a repository, and where it was not kept."""
    key: str = Field(primary_key=True)
    first_seen_at: datetime
    last_seen_at: datetime


class ProtectedWordRow(Row, table=True):
    """A person's word about a protected environment. It stays after it ended."""

    __tablename__ = "protected_words"
    __table_args__ = (one_of("kind", WordKind), Index("ix_protected_words_expires_at", "expires_at"))

    id: str = Field(primary_key=True)
    kind: str
    environment: str
    service: str | None = None
    database: str | None = None
    key: str | None = None
    uses: list[str] | None = Field(default=None, sa_type=Json)
    reason: str = Field(sa_type=Words)
    given_by: str = Field(sa_type=Words)
    given_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = Field(default=None, sa_type=Words)
