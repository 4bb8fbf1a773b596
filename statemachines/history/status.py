"""What a reset tells the world: the next line of its history, which is also its next status event. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from schemas.requests import RequestReference
from schemas.resets import HistoryEntry, Outcome, Reset, Step
from schemas.status import Progress, Status, status_type
from schemas.wire import StepName
from statemachines.lifecycle import STEP_DONE


def next_status(
    reset: Reset,
    *,
    at: datetime,
    steps: Sequence[Step] = (),
    event: str | None = None,
    step: StepName | None = None,
    attempt: int | None = None,
    outcome: Outcome | None = None,
) -> tuple[Reset, HistoryEntry]:
    """The reset with its sequence one further, and the history entry of that sequence.

    `event` is `step-started` or `step-finished`; None means the reset's state. `steps` are all of the plan's, as
    they are now. Environment sequence and links are added by the store when it commits.
    """
    told = reset.model_copy(update={"sequence": reset.sequence + 1})
    status = Status(
        reset_id=told.id,
        number=told.number,
        environment=told.environment,
        mode=told.request.mode,
        state=told.state,
        sequence=told.sequence,
        step=step or told.stopped_at,
        attempt=attempt,
        outcome=outcome.kind if outcome else None,
        exit_code=outcome.exit_code if outcome else None,
        cause=(outcome.cause if outcome else None) or told.cause,
        detail=(outcome.detail if outcome else None) or told.detail,
        hint=(outcome.hint if outcome else None) or told.hint,
        waiting_for=told.waiting_for,
        progress=_progress(steps),
        requested_by=told.requested_by,
        request=_request(told),
        idempotency_key=told.request.idempotency_key,
        plan_hash=told.plan_hash,
        dry_run=told.request.dry_run,
        occurred_at=at,
    )
    return told, HistoryEntry(
        reset_id=told.id,
        sequence=told.sequence,
        at=at,
        type=status_type(event or told.state.value),
        data=status.model_dump(mode="json", by_alias=True, exclude_none=True),
    )


def _progress(steps: Sequence[Step]) -> Progress | None:
    if not steps:
        return None
    done = sum(step.state in STEP_DONE for step in steps)
    return Progress(done=done, total=len(steps))


def _request(reset: Reset) -> RequestReference | None:
    if reset.event_source is None or reset.event_id is None:
        return None
    return RequestReference(source=reset.event_source, id=reset.event_id)
