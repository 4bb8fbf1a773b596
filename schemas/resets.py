"""A reset with its states, steps, attempts, outcomes and acts, as the engine and the API see them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from schemas.reasons import Reason
from schemas.requests import ResetRequested
from schemas.wire import AttemptId, ResetId, ResourceKey, StepName, Time, Wire


class ResetState(StrEnum):
    """Where a reset is in its life cycle. The transitions are in `statemachines.lifecycle`."""

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
    REJECTED = "rejected"  # a rule refused the request
    DENIED = "denied"  # an approver denied the plan
    FAILED = "failed"  # stopped with a cause; it can be resumed
    NEEDS_OPERATOR = "needs-operator"  # an outcome is unknown, or the reset makes no progress
    PAUSED = "paused"  # between steps, for a freeze that said `now`
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"


class StepState(StrEnum):
    """How far a step is. A step may be pending after an attempt that failed: it is attempted again."""

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
    INTERRUPTED = "interrupted"  # the command is known to be dead, and its result is lost
    UNKNOWN = "unknown"  # the command may be running, or may have done anything


class Channel(StrEnum):
    """The way by which a request or an act came in. What it may ask for depends on it."""

    KAFKA = "kafka"
    HTTP = "http"
    PROVISIONING = "provisioning"


class Outcome(Wire):
    """The result of one attempt at a step."""

    kind: OutcomeKind
    exit_code: int | None = None
    cause: Reason | None = None
    detail: str | None = None
    """Text for people, without secrets: the last lines of the output where a command failed."""
    hint: str | None = None
    """What to do next."""
    temporary: bool = False
    """Whether another attempt may succeed although nobody changes anything."""
    delay: float | None = None
    """Seconds to wait before another attempt, where the outside system said so."""
    facts: dict[str, Any] = Field(default_factory=dict)
    """What the step found out: a backup's path and size, a ref before and after."""


class Control(Wire):
    """Where a detached command is found: recorded before the command is launched."""

    environment: str
    pod: str
    pod_uid: str
    container: str
    container_id: str
    restart_count: int
    incarnation: str
    """Start ticks of PID 1 and the boot id; empty where PID 1 is not the container's own."""
    directory: str
    """The attempt's control directory in the pod, absolute."""


class Attempt(Wire):
    """One attempt at a step."""

    id: AttemptId
    reset_id: ResetId
    step: StepName
    number: int
    started_at: Time
    control: Control | None = None
    """None for attempts that launch nothing in a pod."""
    baseline: dict[str, Any] | None = None
    """What was measured right before the launch: the name of an `unchanged` check -> `{rows, digest}`; `activity`, of a
    seed without a check: database -> who was connected, what was written, and which session of it was seen since."""
    finished_at: Time | None = None
    outcome: Outcome | None = None
    log_offset: int = 0
    """Always 0: the kept output itself says how long it is. Stays as long as this version of the API has it."""


class Step(Wire):
    """One step of a reset's plan, with how far it is."""

    name: StepName
    index: int
    state: StepState = StepState.PENDING
    attempts: int = 0
    """How many attempts were started."""
    attempts_before: int = 0
    """How many of these attempts do not count against the retry policy: those before somebody last asked for the step
    again, and those before its last repetition that succeeded."""
    not_before: Time | None = None
    """When the next automatic attempt may start."""
    outcome: Outcome | None = None
    """The outcome of the last attempt."""


class Waiting(Wire):
    """What a reset waits for."""

    reason: str
    """`locks`, `approval`, `argocd`, `quiesced`, `not-before`, `window`, `freeze`, `hold`, `retry`, `facts`."""
    detail: str
    """Text for people."""
    since: Time | None = None
    until: Time | None = None
    """When the wait ends by itself, where that is known."""
    resources: tuple[ResourceKey, ...] = ()
    """The resources whose locks it waits for."""
    held_by: tuple[ResetId, ...] = ()
    """The resets that hold these resources or come before it in the queue."""


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
    ACCEPT = "accept"  # what a learned check found is the new truth


class Act(Wire):
    """An act that was appended to a reset. The lease holder checks it once more when it reads it."""

    id: int = 0
    """Grows with each act in the database; 0 before the act is stored."""
    reset_id: ResetId
    kind: ActKind
    actor: str
    channel: Channel
    reason: str | None = None
    plan_hash: str | None = None
    step: StepName | None = None
    check_name: str | None = None
    """The learned check that `accept` is about."""
    outcome: OutcomeKind | None = None
    replan: bool = False
    force: bool = False
    as_requester: bool = False
    """Whether the actor may do it only as the one who asked for the reset: until its work begins."""
    sequence: int | None = None
    """The last status that the sender saw, where the sender said so."""
    last_status: int | None = None
    """Sequence of the reset's last status when the act was appended. The store fills it in."""
    at: Time


class Approval(Wire):
    """One person's consent to one plan."""

    actor: str
    plan_hash: str
    at: Time
    spent: bool = False
    """Whether something was destroyed on it before the reset stopped. It counts no more."""


class Reset(Wire):
    """A reset as it is stored. Only the lease holder changes it, by compare-and-set."""

    id: ResetId
    number: int
    environment: str
    request: ResetRequested
    channel: Channel
    requested_by: tuple[str, ...]
    """Everybody who asked for the reset, including joined requests, each name once. Over Kafka these are claims."""
    claimed_by: tuple[str, ...] = ()
    """Those of them whom no token showed: names that an event claims."""
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
    """The state in which the reset failed, was cancelled or came to need an operator. A resume goes on there."""
    stopped_at: StepName | None = None
    """The step at which it stopped."""
    destroyed: bool = False
    """Whether a destructive step was started."""
    stops: int = 0
    """How many times the reset has stopped. Dumps from before the last stop are too old to destroy anything."""
    consent_spent: bool = False
    """Whether a destructive step was started since the last stop: the approvals that count were used for it."""
    released: bool = False
    """Whether a person gave back what the stopped reset keeps at rest. A reset that goes on quiesces again."""
    cancel_requested: bool = False
    ticket: int | None = None
    """The reset's place in the queue for locks, drawn from the database."""
    sequence: int = 0
    """Sequence of the last status event: 1, 2, 3, ... without gaps."""
    acts_seen: int = 0
    """Id of the last act that the lease holder has read."""
    claims_without_progress: int = 0
    """How many claims in a row committed nothing but the lease."""
    version: int = 0
    """Grows with each commit of the lease holder, which compares it."""
    fence: int = 0
    """Grows with each claim; compared in each write of the lease holder."""
    wake_at: Time | None = None
    """When a daemon has to look at the reset again, even if nothing happens until then."""
    created_at: Time
    updated_at: Time


class HistoryEntry(Wire):
    """One line of a reset's history. It is published as the status event with the same sequence."""

    reset_id: ResetId
    sequence: int
    at: Time
    type: str
    """The type of the status event: `com.fuse.environment.reset.STATE.v1` and so on."""
    data: dict[str, Any]
    """The data of the status event (`schemas.status.Status`)."""
