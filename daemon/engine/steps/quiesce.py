"""Steps that quiesce and release objects of the cluster."""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.polling import wait_while
from daemon.engine.steps.step_runner import AttemptResult
from daemon.ports.clock import Clock
from daemon.ports.errors import TemporaryError
from daemon.ports.quiescing import Quiescing
from schemas.plan import PlannedStep
from schemas.quiescing import ObjectRef
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind

STARTED_NOTHING = "startedNothing"
"""The fact of an attempt that says whether the object started nothing before either."""


class QuiesceStep:
    """Keeps an object at rest, and waits until nothing of it runs any more. Repeating it is harmless."""

    def __init__(
        self, quiescing: Quiescing, leased: LeasedReset, recorder: AttemptRecorder, clock: Clock
    ) -> None:
        self._quiescing = quiescing
        self._leased = leased
        self._recorder = recorder
        self._clock = clock

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Quiesce. What the object was is remembered in the object itself."""
        target = object_of(step)
        attempt = taken_up or await self._recorder.start(step)
        self._leased.deadline.check()
        quiesced = await self._quiescing.quiesce(
            target, self._leased.reset.id, step.uses, status=self._leased.reset.sequence
        )
        running = await wait_while(lambda: self._quiescing.running(target), self._clock, step.timeout)
        if running:
            raise TemporaryError(
                Reason.STILL_RUNNING,
                f"{', '.join(running)} did not end within {step.timeout:g} s",
                hint="Look at what keeps it: a Job at work, a finalizer, a long grace period, a node that is away.",
            )
        facts = {
            "original": quiesced.original,
            "quiescedBy": list(quiesced.resets),
            STARTED_NOTHING: quiesced.started_nothing,
        }
        return AttemptResult(attempt, Outcome(kind=OutcomeKind.SUCCEEDED, facts=facts))


class ReleaseStep:
    """Gives an object its original values back, unless another reset needs it at rest. Repeating it is harmless."""

    def __init__(self, quiescing: Quiescing, leased: LeasedReset, recorder: AttemptRecorder) -> None:
        self._quiescing = quiescing
        self._leased = leased
        self._recorder = recorder

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Release. Whether it runs again is a step of its own."""
        attempt = taken_up or await self._recorder.start(step)
        self._leased.deadline.check()
        # Kubernetes forgets them with the release. Who dies right after it does not tell them.
        missed = await self._quiescing.missed(object_of(step))
        left = await self._quiescing.release(
            object_of(step), self._leased.reset.id, status=self._leased.reset.sequence
        )
        if left is None:
            return AttemptResult(attempt, Outcome(kind=OutcomeKind.SUCCEEDED, detail=missed or None))
        others = ", ".join(left.resets)
        outcome = Outcome(
            kind=OutcomeKind.SUCCEEDED,
            detail=f"{left.object} stays at rest for {others}",
            facts={"quiescedBy": list(left.resets)},
        )
        return AttemptResult(attempt, outcome)


def object_of(step: PlannedStep) -> ObjectRef:
    """The object that a step of these kinds is about."""
    if step.object is None:
        raise RuntimeError(f"{step.name} names no object")
    return step.object
