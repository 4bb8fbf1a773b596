"""The tables of the state database (SQLModel). The migrations in `daemon/migrations` make the same tables."""

from schemas.tables.audit import AuditHeadRow, AuditRow
from schemas.tables.base import Row, storable, table_of
from schemas.tables.intake import (
    ActRow,
    DeadLetterRow,
    EnvironmentRow,
    IdempotencyKeyRow,
    JoinedRow,
    PendingActRow,
    PositionRow,
    SeenEventRow,
)
from schemas.tables.publishing import HistoryRow, OutboxRow, PublisherRow
from schemas.tables.refusals import RefusalRow
from schemas.tables.resets import AttemptRow, BackupRow, LearnedRow, PlanRow, ResetRow, StepRow
from schemas.tables.resources import (
    CounterRow,
    LockHistoryRow,
    LockRow,
    ProtectedUseRow,
    ProtectedWordRow,
    StateRow,
)
from schemas.tables.restraints import FreezeRow, HoldRow

__all__ = [
    "ActRow",
    "AttemptRow",
    "AuditHeadRow",
    "AuditRow",
    "BackupRow",
    "CounterRow",
    "DeadLetterRow",
    "EnvironmentRow",
    "FreezeRow",
    "HistoryRow",
    "HoldRow",
    "IdempotencyKeyRow",
    "JoinedRow",
    "LearnedRow",
    "LockHistoryRow",
    "LockRow",
    "OutboxRow",
    "PendingActRow",
    "PlanRow",
    "PositionRow",
    "ProtectedUseRow",
    "ProtectedWordRow",
    "PublisherRow",
    "RefusalRow",
    "ResetRow",
    "Row",
    "SeenEventRow",
    "StateRow",
    "StepRow",
    "storable",
    "table_of",
]
