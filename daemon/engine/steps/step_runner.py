"""How one attempt at a step is made: what each kind of step implements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from daemon.ports.backups import Backup
from schemas.plan import PlannedStep
from schemas.resets import Attempt, Outcome


@dataclass(frozen=True)
class AttemptResult:
    """One attempt that came to an end. Nothing of the result is stored yet."""

    attempt: Attempt | None
    """The attempt as it was recorded; None: it ended before that, and nothing was done."""
    outcome: Outcome
    backups: tuple[Backup, ...] = ()
    bound: int | None = None
    """Of a step that repeats: how many attempts it can need, those before this one included."""


class StepRunner(Protocol):
    """One kind of step, in one drive of a reset."""

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Make a new attempt, or finish `taken_up`, which an earlier process recorded.

        - What the attempt does to the world comes after `AttemptRecorder.start`, which makes the attempt durable.
        - The attempt of an earlier process may have done nothing, a part, or all of its work.

        Raises:
            PortError: the attempt failed. It was recorded if the leased reset has it open by now.
            LeaseLostError: another process may hold the reset.
        """
        ...
