"""The audit: lines that are only ever appended, each chained to the line before it, and where each chain ends."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field

from schemas.audit import AuditAction, Verdict
from schemas.tables.base import Json, Row, Words, one_of


class AuditRow(Row, table=True):
    """A line of the audit."""

    __tablename__ = "audit"
    __table_args__ = (
        one_of("action", AuditAction),
        one_of("verdict", Verdict),
        Index("ix_audit_at", "at"),
        Index("ix_audit_environment_at", "environment", "at"),
    )

    chain: str = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime
    action: str
    verdict: str
    actor: str = Field(sa_type=Words)
    channel: str
    environment: str | None = None
    reset_id: str | None = None
    """The reset, which may be gone: its audit is kept longer."""
    act: int | None = Field(default=None, sa_column=Column(BigInteger))
    state: str | None = None
    sequence: int | None = None
    code: str | None = None
    reason: str | None = Field(default=None, sa_type=Words)
    detail: str | None = Field(default=None, sa_type=Words)
    facts: dict[str, Any] = Field(sa_type=Json)
    hash: str


class AuditHeadRow(Row, table=True):
    """The last line of a chain. It is kept because the lines that are left do not show that later ones were removed."""

    __tablename__ = "audit_heads"

    chain: str = Field(primary_key=True)
    number: int
    hash: str
