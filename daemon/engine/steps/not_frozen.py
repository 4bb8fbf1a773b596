"""Whether a freeze stops a destructive step right before it is launched."""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.restraints import Restraints
from daemon.ports.errors import PermanentError
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from statemachines.freezes import concerned, never_crossed, sentence


class NotFrozen:
    """One for each drive of a reset."""

    def __init__(self, restraints: Restraints, leased: LeasedReset) -> None:
        self._restraints = restraints
        self._leased = leased

    async def check(self, step: PlannedStep) -> None:
        """Refuse the launch of a recorded attempt that is the first of its reset to destroy anything.

        Raises:
            PermanentError: `frozen`.
            TemporaryError: the state database does not answer.
        """
        leased = self._leased
        attempt = leased.open_attempts.get(step.name)
        if not step.destructive or attempt is None:
            return
        freeze = await self._restraints.stopping(concerned(leased.reset.environment, leased.plan))
        if freeze is not None and never_crossed(leased.plan, await leased.attempts(), attempt.id):
            raise PermanentError(Reason.FROZEN, sentence(freeze))
