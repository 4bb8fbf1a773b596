"""The next line of a reset's history, which is also its next status event. Pure."""

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
    """Return the reset with the next sequence, and the history entry that says how the reset is now.

    `event` is `step-started` or `step-finished`; without one the entry is of the reset's state. `steps` are all steps
    of the plan as they are now. The store adds the environment's sequence and the links when it commits the entry.
    """
    numbered = reset.model_copy(update={"sequence": reset.sequence + 1})
    status = Status(
        reset_id=numbered.id,
        number=numbered.number,
        environment=numbered.environment,
        mode=numbered.request.mode,
        state=numbered.state,
        sequence=numbered.sequence,
        step=step or numbered.stopped_at,
        attempt=attempt,
        outcome=outcome.kind if outcome else None,
        exit_code=outcome.exit_code if outcome else None,
        cause=(outcome.cause if outcome else None) or numbered.cause,
        detail=(outcome.detail if outcome else None) or numbered.detail,
        hint=(outcome.hint if outcome else None) or numbered.hint,
        waiting_for=numbered.waiting_for,
        progress=_progress(steps),
        requested_by=numbered.requested_by,
        request=_request(numbered),
        idempotency_key=numbered.request.idempotency_key,
        plan_hash=numbered.plan_hash,
        dry_run=numbered.request.dry_run,
        occurred_at=at,
    )
    return numbered, HistoryEntry(
        reset_id=numbered.id,
        sequence=numbered.sequence,
        at=at,
        type=status_type(event or numbered.state.value),
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
