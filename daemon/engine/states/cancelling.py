"""`cancelling`: nothing of the reset is left running before the reset is called cancelled."""

from __future__ import annotations

from daemon.engine.commands.recorded_output import RecordedOutput
from daemon.engine.commands.unresolved import UnresolvedAttempts
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.states.stopping import with_rest
from daemon.engine.steps.performer import Performer
from daemon.ports.clock import Clock
from schemas.reasons import Reason
from schemas.resets import Outcome, OutcomeKind, StepState
from schemas.wire import StepName
from statemachines.lifecycle import Trigger
from statemachines.reset_update import ResetUpdate
from statemachines.steps.progress import ended, resolved
from statemachines.steps.retry import after_cancel


class CancellingState:
    """Leads to `cancelled`, or to `needs-operator` where a command may still run."""

    def __init__(
        self,
        leased: LeasedReset,
        performer: Performer,
        unresolved: UnresolvedAttempts,
        clock: Clock,
        output: RecordedOutput,
    ) -> None:
        self._leased = leased
        self._performer = performer
        self._unresolved = unresolved
        self._clock = clock
        self._output = output

    async def run(self) -> None:
        """End what is open, step by step. Cancelling never pauses."""
        leased = self._leased
        await self._output.remove_former()
        unknown = {name for name, step in leased.steps.items() if step.state is StepState.UNKNOWN}
        # Such attempts were closed without an answer; perhaps more can be shown of them now.
        unresolved = {
            attempt.step: attempt for attempt in await self._unresolved.attempts() if attempt.step in unknown
        }
        for name, attempt in sorted((unresolved | leased.open_attempts).items()):
            outcome = await self._performer.end(attempt)
            over = ended(attempt, outcome, at=self._clock.now())
            if name in leased.steps:
                state = after_cancel(leased.planned(name), leased.steps[name], outcome)
                await leased.finished(resolved(leased.steps[name], state, outcome), over)
            else:  # of a former plan
                await leased.commit(attempts=[over])
            self._output.remove(over)
            if outcome.kind is OutcomeKind.UNKNOWN:
                await self._stop_unknown(outcome, name)
                return
        left = await self._unresolved.prove_all_gone()
        if left is not None:
            await self._stop_unknown(left, leased.reset.stopped_at)
            return
        await leased.commit(
            ResetUpdate(
                cause=Reason.CANCELLED_BY_REQUEST,
                hint=with_rest(leased, leased.reset.hint),
                waiting_for=None,
                cancel_requested=False,
            ),
            trigger=Trigger.CANCELLED,
        )

    async def _stop_unknown(self, outcome: Outcome, step: StepName | None) -> None:
        """Call a person. `stopped_in` stays the state in which the cancel came."""
        await self._leased.commit(
            ResetUpdate(cause=outcome.cause, detail=outcome.detail, hint=outcome.hint, stopped_at=step),
            trigger=Trigger.LOSE,
        )
