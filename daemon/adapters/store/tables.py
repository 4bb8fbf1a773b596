"""The tables of the state database, as SQLAlchemy's Core takes them. Their shapes are in `schemas.tables`."""

from __future__ import annotations

from schemas.tables import (
    ActRow,
    AttemptRow,
    AuditHeadRow,
    AuditRow,
    BackupRow,
    CounterRow,
    DeadLetterRow,
    EnvironmentRow,
    FreezeRow,
    HistoryRow,
    HoldRow,
    IdempotencyKeyRow,
    JoinedRow,
    LearnedRow,
    LockHistoryRow,
    LockRow,
    OutboxRow,
    PendingActRow,
    PlanRow,
    PositionRow,
    ProtectedUseRow,
    ProtectedWordRow,
    PublisherRow,
    RefusalRow,
    ResetRow,
    SeenEventRow,
    StateRow,
    StepRow,
    table_of,
)

RESETS = table_of(ResetRow)
PLANS = table_of(PlanRow)
STEPS = table_of(StepRow)
ATTEMPTS = table_of(AttemptRow)
BACKUPS = table_of(BackupRow)
LEARNED = table_of(LearnedRow)
ENVIRONMENTS = table_of(EnvironmentRow)
POSITIONS = table_of(PositionRow)
SEEN_EVENTS = table_of(SeenEventRow)
IDEMPOTENCY_KEYS = table_of(IdempotencyKeyRow)
JOINED = table_of(JoinedRow)
ACTS = table_of(ActRow)
PENDING_ACTS = table_of(PendingActRow)
DEAD_LETTERS = table_of(DeadLetterRow)
AUDIT = table_of(AuditRow)
AUDIT_HEADS = table_of(AuditHeadRow)
HISTORY = table_of(HistoryRow)
OUTBOX = table_of(OutboxRow)
PUBLISHERS = table_of(PublisherRow)
REFUSALS = table_of(RefusalRow)
COUNTERS = table_of(CounterRow)
LOCKS = table_of(LockRow)
LOCK_HISTORY = table_of(LockHistoryRow)
PROTECTED_USES = table_of(ProtectedUseRow)
PROTECTED_WORDS = table_of(ProtectedWordRow)
FREEZES = table_of(FreezeRow)
HOLDS = table_of(HoldRow)
STATE = table_of(StateRow)

# The condition of the index `ix_outbox_waiting`: a database uses that index for a query with this very condition.
OUTBOX_WAITING = OUTBOX.c.published_at.is_(None) & OUTBOX.c.refused.is_(None)
