"""What people hold back: freezes and holds. A row stays after it ended."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from schemas.tables.base import Json, Row, Words


class FreezeRow(Row, table=True):
    """A freeze of one environment, or of all."""

    __tablename__ = "freezes"
    __table_args__ = (Index("ix_freezes_expires_at", "expires_at"),)

    id: str = Field(primary_key=True)
    environment: str | None = None
    """NULL for all environments."""
    now: bool
    reason: str = Field(sa_type=Words)
    given_by: str = Field(sa_type=Words)
    given_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = Field(default=None, sa_type=Words)


class HoldRow(Row, table=True):
    """A person's hold of an environment."""

    __tablename__ = "holds"
    __table_args__ = (Index("ix_holds_expires_at", "expires_at"),)

    id: str = Field(primary_key=True)
    environment: str
    keys: list[str] = Field(sa_type=Json)
    reason: str = Field(sa_type=Words)
    holder: str = Field(sa_type=Words)
    asked_at: datetime
    expires_at: datetime
    granted_at: datetime | None = None
    told_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = Field(default=None, sa_type=Words)
