"""Records an attempt before it acts: in the state database, then as a mark beside the backups."""

from __future__ import annotations

from typing import Any

from daemon.engine.high_water import HighWater
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.launch_rights import check_rights
from daemon.ports.clock import Clock
from schemas.marks import Launch
from schemas.plan import PlannedStep
from schemas.resets import Attempt, Control


class AttemptRecorder:
    """One for each drive of a reset."""

    def __init__(self, leased: LeasedReset, clock: Clock, high_water: HighWater) -> None:
        self._leased = leased
        self._clock = clock
        self._high_water = high_water

    def next_attempt(
        self, step: PlannedStep, control: Control | None = None, baseline: dict[str, Any] | None = None
    ) -> Attempt:
        """The step's next attempt, begun now and recorded nowhere.

        `control`: where its command lives. `baseline`: what has to survive the command.
        """
        return Attempt(
            id=self._leased.attempt_id(step.name),
            reset_id=self._leased.reset.id,
            step=step.name,
            number=self._leased.steps[step.name].attempts + 1,
            started_at=self._clock.now(),
            control=control,
            baseline=baseline,
        )

    async def start(
        self, step: PlannedStep, control: Control | None = None, baseline: dict[str, Any] | None = None
    ) -> Attempt:
        """Record the step's next attempt: once this returns, the attempt may act.

        Raises:
            PermanentError: `consent-spent`, `approval-expired`, `backup-outdated`, `backup-unproven`: the step
                destroys, and lacks what that needs. Nothing was recorded.
            LeaseLostError: another process may hold the reset, or the state is older than the newest mark.
            TemporaryError: the state database or the marks do not answer; the attempt may be recorded.
        """
        check_rights(self._leased, step, now=self._clock.now())
        attempt = self.next_attempt(step, control, baseline)
        await self._leased.started(attempt)
        await self.mark(attempt)
        return attempt

    async def mark(self, attempt: Attempt) -> None:
        """Put the mark of a recorded attempt: its recorder may have died before. Raises as `start`."""
        reset = self._leased.reset
        await self._high_water.cover(
            Launch(
                attempt=attempt.id,
                environment=reset.environment,
                event_source=reset.event_source,
                event_id=reset.event_id,
                control=attempt.control,
            )
        )
