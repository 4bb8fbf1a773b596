"""Steps that wait until what was released runs again."""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.polling import wait_while
from daemon.engine.steps.quiesce import STARTED_NOTHING
from daemon.engine.steps.step_runner import AttemptResult
from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError
from daemon.ports.quiescing import Quiescing
from schemas.plan import PlannedStep
from schemas.quiescing import APPLICATION, ObjectRef
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind
from statemachines.planning.quiescing import quiesced_objects

LEAST = 60.0
"""Seconds for who takes up an attempt whose time is over: ArgoCD was asked anew, and has to look."""


class AwaitHealthStep:
    """Looks at what the plan quiesced of one environment. It changes nothing but to ask ArgoCD to look."""

    def __init__(
        self, quiescing: Quiescing, leased: LeasedReset, recorder: AttemptRecorder, clock: Clock
    ) -> None:
        self._quiescing = quiescing
        self._leased = leased
        self._recorder = recorder
        self._clock = clock

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Look until all is well, for the step's time since its attempt began: nobody gains by more of the same."""
        attempt = taken_up or await self._recorder.start(step)
        targets = await self._targets(step)
        # What ArgoCD said before does not count. Who takes up an attempt does not know whether it had asked.
        asked = await self._quiescing.ask_to_look(targets)
        left = step.timeout - (self._clock.now() - attempt.started_at).total_seconds()
        seconds = min(max(left, LEAST), step.timeout)
        why = await wait_while(lambda: self._quiescing.unhealthy(targets, asked), self._clock, seconds)
        if why:
            raise PermanentError(
                Reason.NOT_HEALTHY,
                f"{why}, {step.timeout:g} s after the release",
                hint=f"`resetd doctor {step.environment}` shows what its pods say; then `resetd resume ID`.",
            )
        return AttemptResult(attempt, Outcome(kind=OutcomeKind.SUCCEEDED))

    async def _targets(self, step: PlannedStep) -> list[ObjectRef]:
        """What the plan quiesced of the environment, but for Applications whose automated sync was off before.

        Nobody but a person syncs those, and nobody has looked at them before the reset began.
        """
        steps = self._leased.plan.steps if self._leased.plan else ()
        off = {
            attempt.step
            for attempt in await self._leased.attempts()
            if attempt.outcome is not None and attempt.outcome.facts.get(STARTED_NOTHING)
        }
        left_out = {
            each.object
            for each in steps
            if each.object and each.object.kind == APPLICATION and each.name in off
        }
        return [each for each in quiesced_objects(steps, step.environment) if each not in left_out]
