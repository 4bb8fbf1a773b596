"""Steps that show which databases a service's own tool reaches."""

from __future__ import annotations

from daemon.engine.pod_choice import PodChoice
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.database_proofs import DatabaseProofs
from daemon.engine.steps.step_runner import AttemptResult
from schemas.plan import PlannedStep
from schemas.resets import Attempt, Outcome, OutcomeKind


class HandshakeStep:
    """Shows it while the backups run, so that each command finds the proof made."""

    def __init__(self, proofs: DatabaseProofs, pod_choice: PodChoice, recorder: AttemptRecorder) -> None:
        self._proofs = proofs
        self._pod_choice = pod_choice
        self._recorder = recorder

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Show it; a handshake changes nothing, so it is simply made again after a crash."""
        service = self._pod_choice.service(step)
        pod = await self._pod_choice.choose(step)
        attempt = taken_up or await self._recorder.start(step)
        await self._proofs.show(pod, service, step)
        return AttemptResult(
            attempt, Outcome(kind=OutcomeKind.SUCCEEDED, facts={"containerId": pod.container_id})
        )
