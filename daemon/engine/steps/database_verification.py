"""Steps by which the daemon verifies databases itself, at the end of a reset."""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.pod_choice import PodChoice
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.database_checks import DatabaseChecks
from daemon.engine.steps.step_runner import AttemptResult
from schemas.checks import PlannedCheck
from schemas.plan import PlannedStep, StepKind
from schemas.resets import Attempt, Outcome, OutcomeKind, StepState
from statemachines.steps.check_outcomes import judged


class DatabaseVerificationStep:
    """Looks once at each check. It changes nothing, so it is simply made again after a crash."""

    def __init__(
        self, checks: DatabaseChecks, pod_choice: PodChoice, recorder: AttemptRecorder, leased: LeasedReset
    ) -> None:
        self._checks = checks
        self._pod_choice = pod_choice
        self._recorder = recorder
        self._leased = leased

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Look. What a skipped step promised is not asked for: a person chose to go on without it."""
        pod = await self._pod_choice.choose(step)
        attempt = taken_up or await self._recorder.start(step)
        asked = [check for check in step.checks if not self._was_skipped(check)]
        verdicts = await self._checks.look(step, pod, asked)
        return AttemptResult(attempt, judged(verdicts, Outcome(kind=OutcomeKind.SUCCEEDED)))

    def _was_skipped(self, check: PlannedCheck) -> bool:
        steps = self._leased.plan.steps if self._leased.plan else ()
        promised = [step for step in steps if step.kind is StepKind.COMMAND and check in step.checks]
        return bool(promised) and all(
            self._leased.steps[step.name].state is StepState.SKIPPED for step in promised
        )
