"""A reset and what belongs to it: states, steps, attempts and outcomes, as the engine and the API see them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from schemas.reasons import Reason
from schemas.requests import ResetRequested
from schemas.wire import AttemptId, ResetId, ResourceKey, StepName, Time, Wire


class ResetState(StrEnum):
    """Where a reset is in its life cycle; the transitions are in `statemachines.lifecycle`."""

    PLANNING = "planning"
    AWAITING_APPROVAL = "awaiting-approval"
    QUEUED = "queued"
    QUIESCING = "quiescing"
    BACKING_UP = "backing-up"
    MIGRATING_CORE = "migrating-core"
    SEEDING = "seeding"
    RESETTING_GIT = "resetting-git"
    VERIFYING = "verifying"
    RELEASING = "releasing"
    DONE = "done"
    PLANNED = "planned"  # the end of a dry run
    REJECTED = "rejected"  # a rule refused it
    DENIED = "denied"  # a person did
    FAILED = "failed"  # stopped at a step; resumable
    NEEDS_OPERATOR = "needs-operator"  # an outcome is unknown, or no progress
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"


class StepState(StrEnum):
    """Where a step is; an attempt of it may have failed while the step is still running."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class OutcomeKind(StrEnum):
    """How an attempt ended. Unknown is never success."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # known not to be running, its result is lost
    UNKNOWN = "unknown"  # it may be running, or have done anything


class Channel(StrEnum):
    """How a request or an act came in; authority depends on it."""

    KAFKA = "kafka"
    HTTP = "http"
    PROVISIONING = "provisioning"


class Outcome(Wire):
    """What one attempt came to. It dies with the attempt; the row survives."""

    kind: OutcomeKind
    exit_code: int | None = None
    cause: Reason | None = None
    detail: str | None = None
    """For people; without secrets; the last log lines where a command failed."""
    hint: str | None = None
    """The next step to take."""
    temporary: bool = False
    """Whether trying again by itself may help."""
    delay: float | None = None
    """Seconds after which to try again, where the outside said so."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """What the step found out: a backup's path and size, a ref before and after."""


class Control(Wire):
    """Where a detached command lives: what is recorded before it is launched."""

    environment: str
    pod: str
    pod_uid: str
    container: str
    container_id: str
    restart_count: int
    incarnation: str
    """Start ticks of PID 1 + boot id; empty where PID 1 is not the container's."""
    directory: str
    """The attempt's control directory in the pod, absolute."""


class Attempt(Wire):
    """One try at a step."""

    id: AttemptId
    reset_id: ResetId
    step: StepName
    number: int
    started_at: Time
    control: Control | None = None
    """None for attempts that launch nothing in a pod."""
    finished_at: Time | None = None
    outcome: Outcome | None = None
    log_offset: int = 0
    """Always 0: the kept output itself says how long it is. Stays as long as this version of the API has it."""


class Step(Wire):
    """One step of a reset's plan, with how far it got."""

    name: StepName
    index: int
    state: StepState = StepState.PENDING
    attempts: int = 0
    """How many attempts were started."""
    attempts_before: int = 0
    """How many of them use up no automatic retry: of before somebody last asked for the step again, or before the last
    repetition of it that succeeded."""
    not_before: Time | None = None
    """When the next automatic attempt may start."""
    outcome: Outcome | None = None
    """The last attempt's."""


class Waiting(Wire):
    """What a reset waits for, for people and machines."""

    reason: str
    """`locks`, `approval`, `argocd`, `not-before`, `window`, `freeze`, `retry`, `facts`."""
    detail: str
    since: Time | None = None
    until: Time | None = None
    resources: tuple[ResourceKey, ...] = ()
    held_by: tuple[ResetId, ...] = ()


class ActKind(StrEnum):
    """What a person or an event may ask of a running reset."""

    APPROVE = "approve"
    DENY = "deny"
    CANCEL = "cancel"
    RESUME = "resume"
    SKIP = "skip"
    RESOLVE = "resolve"
    ROLLBACK = "rollback"
    RELEASE = "release"


class Act(Wire):
    """An appended act; the lease holder reads it and judges it once more."""

    id: int = 0
    """Grows with each appended act of the database; 0 before it is stored."""
    reset_id: ResetId
    kind: ActKind
    actor: str
    channel: Channel
    reason: str | None = None
    plan_hash: str | None = None
    step: StepName | None = None
    outcome: OutcomeKind | None = None
    replan: bool = False
    force: bool = False
    sequence: int | None = None
    """The last status that who asks saw, where that was said."""
    last_status: int | None = None
    """Sequence of the reset's last status when the act was appended; the store's to say."""
    at: Time


class Approval(Wire):
    """One person's consent to one plan."""

    actor: str
    plan_hash: str
    at: Time


class Reset(Wire):
    """One accepted request, as stored. Only the lease holder changes it, by compare-and-set."""

    id: ResetId
    number: int
    environment: str
    request: ResetRequested
    channel: Channel
    requested_by: tuple[str, ...]
    """Everybody who asked for it (joined requests add theirs); by Kafka these are claims."""
    event_source: str | None = None
    event_id: str | None = None
    trace_parent: str | None = None
    state: ResetState = ResetState.PLANNING
    plan_hash: str | None = None
    approvals_required: int = 0
    approvals: tuple[Approval, ...] = ()
    approval_expires_at: Time | None = None
    waiting_for: Waiting | None = None
    cause: Reason | None = None
    detail: str | None = None
    hint: str | None = None
    stopped_in: ResetState | None = None
    """The state in which it failed, was cancelled or needed an operator: where a resume goes on."""
    stopped_at: StepName | None = None
    destroyed: bool = False
    """Whether the first destructive step was started."""
    cancel_requested: bool = False
    ticket: int | None = None
    """Its place in the queue for locks, from the database."""
    sequence: int = 0
    """Of the last status event; 1, 2, 3, ... without gaps."""
    acts_seen: int = 0
    """Id of the last act that the holder has read."""
    claims_without_progress: int = 0
    version: int = 0
    fence: int = 0
    """Grows with each claim; checked in every write."""
    wake_at: Time | None = None
    """When the loop has to look at it again although nothing happened."""
    created_at: Time
    updated_at: Time


class HistoryEntry(Wire):
    """One line of a reset's history: each is also a status event with the same sequence."""

    reset_id: ResetId
    sequence: int
    at: Time
    type: str
    """The status event's type, `com.fuse.environment.reset.STATE.v1` and so on."""
    data: dict[str, Any]
