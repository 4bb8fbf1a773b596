"""Resets with their plans, steps, attempts and backups. Only the holder of a reset's lease writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, UniqueConstraint, false, text
from sqlmodel import Field

from schemas.backups import Proof
from schemas.resets import Channel, ResetState, StepState
from schemas.tables.base import Json, Row, Words, one_of, serial


class ResetRow(Row, table=True):
    """A reset. People who joined it later are in `joined_requesters`, which the intake writes."""

    __tablename__ = "resets"
    __table_args__ = (
        one_of("state", ResetState),
        one_of("channel", Channel),
        UniqueConstraint("environment", "number"),
        Index(
            "ix_resets_live", "created_at", "id", sqlite_where=text("live = 1"), postgresql_where=text("live")
        ),
        Index("ix_resets_environment_state", "environment", "state"),
        Index(
            "ix_resets_answered",
            "id",
            sqlite_where=text("state IN ('rejected', 'planned')"),
            postgresql_where=text("state IN ('rejected', 'planned')"),
        ),
    )

    id: str = Field(primary_key=True)
    number: int
    environment: str
    request: dict[str, Any] = Field(sa_type=Json)
    content_hash: str
    channel: str
    event_source: str | None = None
    event_id: str | None = None
    trace_parent: str | None = Field(default=None, sa_type=Words)
    state: str
    live: bool
    """Whether daemons have to look at the reset: it is not at rest, or has a time to wake at."""
    plan_hash: str | None = None
    approvals_required: int
    approvals: list[dict[str, Any]] = Field(sa_type=Json)
    approval_expires_at: datetime | None = None
    waiting_for: dict[str, Any] | None = Field(default=None, sa_type=Json)
    cause: str | None = None
    detail: str | None = Field(default=None, sa_type=Words)
    hint: str | None = Field(default=None, sa_type=Words)
    stopped_in: str | None = None
    stopped_at: str | None = None
    destroyed: bool
    stops: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    consent_spent: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    released: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    cancel_requested: bool
    ticket: int | None = Field(default=None, sa_column=Column(BigInteger))
    sequence: int
    acts_seen: int = Field(sa_column=Column(BigInteger, nullable=False))
    claims_without_progress: int
    version: int
    fence: int
    claimed_version: int | None = None
    """The version that the last claim found. Where the next claim finds the same one there was no progress."""
    lease_owner: str | None = None
    lease_until: datetime | None = None
    wake_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class PlanRow(Row, table=True):
    """A plan that a reset has or had. The reset's `plan_hash` names the present one."""

    __tablename__ = "plans"

    reset_id: str = Field(primary_key=True, foreign_key="resets.id")
    hash: str = Field(primary_key=True)
    body: dict[str, Any] = Field(sa_type=Json)


class StepRow(Row, table=True):
    """A step of a reset's present plan."""

    __tablename__ = "steps"
    __table_args__ = (one_of("state", StepState),)

    reset_id: str = Field(primary_key=True, foreign_key="resets.id")
    name: str = Field(primary_key=True)
    position: int
    state: str
    attempts: int
    attempts_before: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    not_before: datetime | None = None
    outcome: dict[str, Any] | None = Field(default=None, sa_type=Json)


class AttemptRow(Row, table=True):
    """An attempt. It stays when a new plan does not have its step."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_reset_id", "reset_id", "started_at"),)

    id: str = Field(primary_key=True)
    reset_id: str = Field(foreign_key="resets.id")
    step: str
    number: int
    started_at: datetime
    control: dict[str, Any] | None = Field(default=None, sa_type=Json)
    baseline: dict[str, Any] | None = Field(default=None, sa_type=Json)
    finished_at: datetime | None = None
    outcome: dict[str, Any] | None = Field(default=None, sa_type=Json)
    log_offset: int = Field(sa_column=Column(BigInteger, nullable=False))
    """Always 0. A later release drops the column: replicas of this one still write it."""


class LearnedRow(Row, table=True):
    """The tables that had rows after a step, as a reset that is done taught it or a person accepted it."""

    __tablename__ = "learned"
    __table_args__ = (Index("ix_learned_environment", "environment"),)

    key: str = Field(primary_key=True)
    """Digest of all that has to be the same: `environment` to `image`."""
    environment: str
    step: str
    check_name: str
    options: list[str] = Field(sa_type=Json)
    integrations: list[str] = Field(sa_type=Json)
    image: str
    tables: list[str] = Field(sa_type=Json)
    reset_id: str
    at: datetime


class BackupRow(Row, table=True):
    """A dump of a database that a reset took."""

    __tablename__ = "backups"
    __table_args__ = (UniqueConstraint("path"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_column=serial())
    reset_id: str = Field(foreign_key="resets.id", index=True)
    resource: str
    path: str
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str
    taken_at: datetime
    proven: bool
    stops: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How many times the reset had stopped before."""
    first: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Whether it shows the database as it was before the reset destroyed anything. Retention takes it last."""
    proof: str = Field(default=Proof.READ.value, sa_column_kwargs={"server_default": Proof.READ.value})
    """How it was proven."""
    proof_at: datetime | None = None
    """When a restore proved it."""
    proof_seconds: float | None = None
    """How long that took."""
    scratch: str | None = None
    """The scratch server on which it was restored."""
