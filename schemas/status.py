"""Data of the status events that go out: one for each line of a reset's history (`docs/asyncapi.yaml`)."""

from __future__ import annotations

from schemas.reasons import Reason
from schemas.requests import Mode, RequestReference
from schemas.resets import OutcomeKind, ResetState, Waiting
from schemas.wire import ResetId, StepName, Time, Wire

STEP_STARTED = "step-started"
STEP_FINISHED = "step-finished"


def status_type(event: str) -> str:
    """Return the CloudEvent type of a status. `event` is a state's value, `step-started` or `step-finished`."""
    return f"com.fuse.environment.reset.{event}.v1"


class Progress(Wire):
    """How many of the plan's steps have succeeded or were skipped, and how many there are."""

    done: int
    total: int


class Links(Wire):
    """Where to read more."""

    self: str
    """Address of the reset in the HTTP API; relative where no public URL is set."""


class Status(Wire):
    """Data of `com.fuse.environment.reset.STATE.v1`, `...step-started.v1` and `...step-finished.v1`."""

    reset_id: ResetId
    number: int
    """The reset's number in its environment: 12 in `qa-sandbox/12`."""
    environment: str
    mode: Mode
    state: ResetState
    sequence: int
    """1, 2, 3, ... without gaps, for each reset."""
    environment_sequence: int | None = None
    """Grows with each status of the environment: a reader drops a status with a lower one than it saw last. It is set
    when the status is committed."""
    step: StepName | None = None
    attempt: int | None = None
    """Number of the attempt at the step, from 1."""
    outcome: OutcomeKind | None = None
    exit_code: int | None = None
    cause: Reason | None = None
    detail: str | None = None
    hint: str | None = None
    waiting_for: Waiting | None = None
    progress: Progress | None = None
    """None before there is a plan."""
    requested_by: tuple[str, ...]
    """Everybody who asked for the reset. Over Kafka these are claims."""
    request: RequestReference | None = None
    """The event that asked for the reset."""
    idempotency_key: str | None = None
    plan_hash: str | None = None
    dry_run: bool = False
    occurred_at: Time
    links: Links | None = None
    """Set when the status is committed."""
