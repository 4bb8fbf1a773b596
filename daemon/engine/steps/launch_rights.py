"""What a destructive step needs of its reset right before it starts, as an adapter's error where it lacks it."""

from __future__ import annotations

from datetime import datetime

from daemon.engine.leased_reset import LeasedReset
from daemon.ports.errors import PermanentError
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from statemachines.refusals import Refused
from statemachines.steps.launch_rights import missing_right

_HINTS = {
    Reason.BACKUP_UNPROVEN: "Put its file back (`resetd backups list` names it), or ask for a new reset.",
}
_RESUME = "`resetd resume ID` takes new dumps and, where it is needed, asks for consent again."


def check_rights(leased: LeasedReset, step: PlannedStep, *, now: datetime) -> None:
    """Call right before the step is recorded, and before each of its launches.

    Raises:
        PermanentError: `consent-spent`, `approval-expired`, `backup-outdated`, `backup-unproven`.
    """
    lacking = missing_right(leased.reset, leased.plan, leased.steps, step, now=now)
    if lacking is not None:
        raise as_error(lacking)


def as_error(lacking: Refused) -> PermanentError:
    """What a step lacks, with what leads on."""
    return PermanentError(lacking.reason, lacking.detail, hint=_HINTS.get(lacking.reason, _RESUME))
