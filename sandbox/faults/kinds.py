"""The kinds of faults that the platform can have. docs/faults.md says what each does and how it is counted."""

from __future__ import annotations

from enum import StrEnum


class FaultKind(StrEnum):
    """A kind of fault; the first word of its name says which part of the platform has it."""

    EXEC_403 = "exec-403"
    EXEC_404 = "exec-404"
    EXEC_429 = "exec-429"
    EXEC_500 = "exec-500"
    EXEC_503 = "exec-503"
    EXEC_HANDSHAKE_HUNG = "exec-handshake-hung"
    EXEC_CUT_BEFORE_START = "exec-cut-before-start"
    EXEC_CUT_AFTER_START = "exec-cut-after-start"
    EXEC_CUT_BEFORE_STATUS = "exec-cut-before-status"
    EXEC_HALF_OPEN = "exec-half-open"
    EXEC_CLOSE_1000 = "exec-close-1000"
    EXEC_CLOSE_1001 = "exec-close-1001"
    EXEC_CLOSE_1006 = "exec-close-1006"
    EXEC_DELAYED = "exec-delayed"
    EXEC_SPLIT = "exec-split"
    EXEC_BEGINS_LATE = "exec-begins-late"
    API_SERVER_RESTARTED = "api-server-restarted"

    POD_DELETED = "pod-deleted"
    POD_LOST = "pod-lost"
    POD_ROLLED_OUT = "pod-rolled-out"
    CONTAINER_RESTARTED = "container-restarted"
    OOM_KILLED = "oom-killed"
    EVICTED = "evicted"
    LABEL_SELECTS_JOB = "label-selects-job"
    LABEL_SELECTS_SECOND_DEPLOYMENT = "label-selects-second-deployment"
    NO_SH = "no-sh"
    READ_ONLY_ROOT = "read-only-root"
    DISK_FULL = "disk-full"
    PID1_DOES_NOT_REAP = "pid1-does-not-reap"

    POSTGRES_RESTARTED = "postgres-restarted"
    POSTGRES_CONNECTIONS_DROPPED = "postgres-connections-dropped"
    POSTGRES_LOCK_HELD = "postgres-lock-held"
    POSTGRES_DISK_FULL_IN_DUMP = "postgres-disk-full-in-dump"
    STATE_RESTARTED = "state-restarted"
    STATE_SLOW = "state-slow"

    KAFKA_DOWN = "kafka-down"
    KAFKA_LEADER_MOVED = "kafka-leader-moved"
    KAFKA_SESSION_EXPIRED = "kafka-session-expired"
    KAFKA_REBALANCE = "kafka-rebalance"
    KAFKA_OFFSETS_EXPIRED = "kafka-offsets-expired"
    KAFKA_DUPLICATE_DELIVERY = "kafka-duplicate-delivery"

    GITHUB_5XX = "github-5xx"
    GITHUB_RATE_LIMITED = "github-rate-limited"
    GITHUB_TIMEOUT_AFTER_WRITE = "github-timeout-after-write"
    GITHUB_REF_MOVED = "github-ref-moved"


def starting(*prefixes: str) -> frozenset[FaultKind]:
    """The kinds whose names start with one of these prefixes."""
    return frozenset(kind for kind in FaultKind if kind.startswith(prefixes))


EXEC = starting("exec-")
"""Faults of an exec's stream."""
POD_DISRUPTIONS = frozenset(
    {
        FaultKind.POD_DELETED,
        FaultKind.POD_LOST,
        FaultKind.POD_ROLLED_OUT,
        FaultKind.CONTAINER_RESTARTED,
        FaultKind.OOM_KILLED,
        FaultKind.EVICTED,
    }
)
"""Disruptions of a pod while a command runs in it."""
CONTAINER_FAULTS = frozenset(
    {
        FaultKind.NO_SH,
        FaultKind.READ_ONLY_ROOT,
        FaultKind.DISK_FULL,
        FaultKind.PID1_DOES_NOT_REAP,
    }
)
"""Faults that a container has for a while."""
IMPOSTORS = frozenset({FaultKind.LABEL_SELECTS_JOB, FaultKind.LABEL_SELECTS_SECOND_DEPLOYMENT})
"""Faults whose pods carry a service's label for a while."""
POSTGRES = starting("postgres-")
STATE = starting("state-")
KAFKA = starting("kafka-")
GITHUB = starting("github-")
