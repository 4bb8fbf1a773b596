"""Data of the status events that go out: one for each line of a reset's history (`docs/asyncapi.yaml`)."""

from __future__ import annotations

from schemas.reasons import Reason
from schemas.requests import Mode, RequestReference
from schemas.resets import OutcomeKind, ResetState, Waiting
from schemas.wire import ResetId, StepName, Time, Wire

STEP_STARTED = "step-started"
STEP_FINISHED = "step-finished"


def status_type(event: str) -> str:
    """The CloudEvent type of a status: `event` is a state's value, `step-started` or `step-finished`."""
    return f"com.fuse.environment.reset.{event}.v1"


class Progress(Wire):
    """How many of the plan's steps are behind it (succeeded or skipped)."""

    done: int
    total: int


class Links(Wire):
    """Where to read on."""

    self: str
    """The reset in the HTTP API; relative where no public URL is set."""


class Status(Wire):
    """Data of `com.fuse.environment.reset.STATE.v1`, `...step-started.v1` and `...step-finished.v1`."""

    reset_id: ResetId
    number: int
    """Of its environment: `qa-sandbox/12`."""
    environment: str
    mode: Mode
    state: ResetState
    sequence: int
    """1, 2, 3, ... for each reset, without gaps."""
    environment_sequence: int | None = None
    """Grows with each status of the environment: drop lower ones. Set when the status is committed."""
    step: StepName | None = None
    attempt: int | None = None
    """Number of the step's attempt, from 1."""
    outcome: OutcomeKind | None = None
    exit_code: int | None = None
    cause: Reason | None = None
    detail: str | None = None
    hint: str | None = None
    waiting_for: Waiting | None = None
    progress: Progress | None = None
    """None before there is a plan."""
    requested_by: tuple[str, ...]
    """Everybody who asked; claims where the request came over Kafka."""
    request: RequestReference | None = None
    """The event that led to it."""
    idempotency_key: str | None = None
    plan_hash: str | None = None
    dry_run: bool = False
    occurred_at: Time
    links: Links | None = None
    """Set when the status is committed."""
