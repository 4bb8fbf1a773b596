"""How a reset stops: `failed` for a known cause, `needs-operator` where an outcome is unknown."""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from schemas.reasons import Reason
from schemas.resets import Outcome
from schemas.wire import StepName
from statemachines.hints import hint_for
from statemachines.lifecycle import Trigger
from statemachines.planning.quiescing import quiesced_objects
from statemachines.reset_update import ResetUpdate


async def stop_failed(leased: LeasedReset, reason: Reason, detail: str, hint: str | None = None) -> None:
    """Stop because the world stands in the way. A hint of the cause's own fills in for a missing one."""
    await leased.commit(
        ResetUpdate(
            cause=reason,
            detail=detail,
            hint=with_rest(leased, hint or hint_for(reason, leased.reset.environment)),
            stopped_in=leased.reset.state,
            waiting_for=None,
        ),
        trigger=Trigger.FAIL,
    )


async def stop_at_step(leased: LeasedReset, step: StepName, outcome: Outcome, *, unknown: bool) -> None:
    """Stop because a step ended without success. `unknown`: a person has to say what became of it."""
    hint = outcome.hint or (hint_for(outcome.cause, leased.reset.environment) if outcome.cause else None)
    await leased.commit(
        ResetUpdate(
            cause=outcome.cause,
            detail=outcome.detail,
            hint=with_rest(leased, hint),
            stopped_in=leased.reset.state,
            stopped_at=step,
            waiting_for=None,
        ),
        trigger=Trigger.LOSE if unknown else Trigger.FAIL,
    )


def with_rest(leased: LeasedReset, hint: str | None) -> str | None:
    """Add to a hint what the reset keeps at rest: it has destroyed something, so nobody else gives that back."""
    kept = quiesced_objects(leased.plan.steps) if leased.plan is not None else ()
    if not (kept and leased.reset.destroyed):
        return hint
    names = ", ".join(str(each) for each in kept)
    rest = (
        f"At rest until it goes on: {names}. `resetd release ID --reason WHY` gives them back as things are."
    )
    return f"{hint} {rest}" if hint else rest
