"""Performs one attempt at one step: finds the runner of the step's kind, and turns its errors into outcomes."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.engine.commands.termination import Termination
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.exit_interpreter import ExitInterpreter
from daemon.engine.steps.step_runner import AttemptResult, StepRunner
from daemon.ports.errors import PortError, TemporaryError
from daemon.redaction import redact
from schemas.plan import PlannedStep, StepKind
from schemas.resets import Attempt, Outcome, OutcomeKind
from statemachines.steps.retry import remembering


class Performer:
    """One for each drive of a reset."""

    def __init__(
        self,
        runners: Mapping[StepKind, StepRunner],
        leased: LeasedReset,
        recorder: AttemptRecorder,
        termination: Termination,
        interpreter: ExitInterpreter,
    ) -> None:
        self._runners = runners
        self._leased = leased
        self._recorder = recorder
        self._termination = termination
        self._interpreter = interpreter

    async def perform(self, step: PlannedStep) -> AttemptResult:
        """Make a new attempt, or finish the open one.

        Before a new attempt `UnresolvedAttempts.prove_all_gone` has to answer None.

        Raises:
            LeaseLostError: another process may hold the reset, or the state is older than the newest mark.
            TemporaryError: an open attempt could not be marked; it stays open.
        """
        taken_up = self._leased.open_attempts.get(step.name)
        if taken_up is not None:
            # Whoever recorded the attempt may have died before it was marked, and taking it up may launch it.
            await self._recorder.mark(taken_up)
        try:
            result = await self._runners[step.kind].run(step, taken_up)
        except PortError as error:
            result = AttemptResult(self._leased.open_attempts.get(step.name), _failure(error))
        return AttemptResult(
            result.attempt, self._to_store(step, result.outcome), result.backups, result.bound
        )

    async def end(self, attempt: Attempt) -> Outcome:
        """Make sure that nothing of an open attempt is left; its outcome is what following it would have found."""
        outcome = await self._termination.end(attempt)
        if attempt.step not in self._leased.steps:  # of a former plan, whose catalog nobody knows
            return _without_secrets(outcome)
        step = self._leased.planned(attempt.step)
        return self._to_store(step, await self._interpreter.interpret(step, attempt, outcome))

    def _to_store(self, step: PlannedStep, outcome: Outcome) -> Outcome:
        return remembering(self._leased.steps[step.name].outcome, _without_secrets(outcome))


def _failure(error: PortError) -> Outcome:
    """An adapter's error as the outcome of the attempt that met it."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        cause=error.reason,
        detail=error.detail,
        hint=error.hint,
        temporary=isinstance(error, TemporaryError),
        delay=getattr(error, "delay", None),
        facts={"launched": False},
    )


def _without_secrets(outcome: Outcome) -> Outcome:
    if outcome.detail is None:
        return outcome
    return outcome.model_copy(update={"detail": redact(outcome.detail)})
