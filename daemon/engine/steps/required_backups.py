"""What a destructive step needs, whatever the plan's order promises: a backup that succeeded, and is still there.

Days may lie between the two, and the step's worker may be another machine: a directory that it does not share, or that
somebody tidied up, has nothing to go back to.
"""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.ports.databases import Backups
from daemon.ports.errors import PermanentError
from schemas.plan import PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import StepState
from schemas.wire import ResourceKey


async def check_saved(backups: Backups, leased: LeasedReset, step: PlannedStep) -> None:
    """Right before the step is launched.

    Raises:
        PermanentError: `backup-unproven`: a database that it touches has no backup of this reset, or it is gone.
        TemporaryError: the backup store does not answer.
    """
    if not step.destructive:
        return
    touched = {key for key in step.touches if key.startswith("database/")}
    unsaved = touched - await _saved(backups, leased, touched)
    if unsaved or not touched:
        raise PermanentError(
            Reason.BACKUP_UNPROVEN,
            f"{step.name} needs a backup of {', '.join(sorted(unsaved)) or 'what it touches'}, "
            "and none has succeeded and is still there",
            hint="Put its file back (`resetd backups list` names it), or ask for a new reset.",
        )


async def _saved(backups: Backups, leased: LeasedReset, touched: set[ResourceKey]) -> set[ResourceKey]:
    saved: set[ResourceKey] = set()
    for one in leased.plan.steps if leased.plan else ():
        step = leased.steps[one.name]
        if one.kind is not StepKind.BACKUP_DATABASE or step.state is not StepState.SUCCEEDED:
            continue
        facts = step.outcome.facts if step.outcome else {}
        if touched & set(one.touches) and await backups.holds(facts["path"], facts["sizeBytes"]):
            saved.update(one.touches)
    return saved
