"""What is left of requests that were refused, once their own rows are pruned: a row for each name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field

from schemas.resets import Channel
from schemas.tables.base import Row, Words, one_of


class RefusalRow(Row, table=True):
    """The refused requests for one environment. The table holds a bounded number of names."""

    __tablename__ = "refusals"
    __table_args__ = (one_of("channel", Channel), Index("ix_refusals_last_at", "last_at"))

    environment: str = Field(primary_key=True)
    count: int = Field(sa_column=Column(BigInteger, nullable=False))
    first_at: datetime
    last_at: datetime
    reason: str
    reset_id: str
    channel: str
    requested_by: str = Field(sa_type=Words)
    event_source: str | None = None
    event_id: str | None = None
    unknown_until: datetime | None = None
    last_number: int
    """With `sequence`: the counters of the environment, whose own row is gone. They go on from here."""
    sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
