"""Whether a freeze, or a window that has closed, stops a destructive step right before it is launched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.restraints import Restraints
from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError
from schemas.plan import Plan, PlannedStep
from schemas.reasons import Reason
from schemas.resets import Reset
from statemachines.freezes import concerned, never_crossed, sentence
from statemachines.windows import Bound

Windows = Callable[[Reset, "Plan | None", datetime], "Bound | None"]
"""What the catalog's windows say of a reset's first destructive step at a moment."""


class NotFrozen:
    """One for each drive of a reset."""

    def __init__(self, restraints: Restraints, windows: Windows, leased: LeasedReset, clock: Clock) -> None:
        self._restraints = restraints
        self._windows = windows
        self._leased = leased
        self._clock = clock

    async def check(self, step: PlannedStep) -> None:
        """Refuse the launch of a recorded attempt that is the first of its reset to destroy anything.

        Raises:
            PermanentError: `frozen`, `outside-window`.
            TemporaryError: the state database does not answer.
        """
        leased = self._leased
        attempt = leased.open_attempts.get(step.name)
        if not step.destructive or attempt is None:
            return
        freeze = await self._restraints.stopping(concerned(leased.reset.environment, leased.plan))
        window = self._windows(leased.reset, leased.plan, self._clock.now())
        closed = window is not None and not window.is_open
        if freeze is None and not closed:
            return
        if not never_crossed(leased.plan, await leased.attempts(), attempt.id):
            return
        if freeze is not None:
            raise PermanentError(Reason.FROZEN, sentence(freeze))
        if window is not None:
            raise PermanentError(Reason.OUTSIDE_WINDOW, window.opening.text)
