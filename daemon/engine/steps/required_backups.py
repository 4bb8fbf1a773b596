"""What a destructive step needs beside its rights: dumps that are still there.

Days may lie between the backup and the step, and another machine may run the step. A directory that the machines do not
share, or that somebody tidied up, leaves nothing to go back to.
"""

from __future__ import annotations

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.launch_rights import as_error
from daemon.ports.backups import Backups
from schemas.plan import PlannedStep
from schemas.wire import ResourceKey
from statemachines.steps.launch_rights import dumped, no_backup


async def check_backups(backups: Backups, leased: LeasedReset, step: PlannedStep) -> None:
    """Call right before the step is launched. That the dumps are from after the last stop is `launch_rights`' to say.

    Raises:
        PermanentError: `backup-unproven`: a database that the step touches has no backup of this reset, or that backup
            is gone.
        TemporaryError: the backup store does not answer.
    """
    if not step.destructive:
        return
    touched = {key for key in step.touches if key.startswith("database/")}
    missing = touched - await _still_there(backups, leased, touched)
    if missing or not touched:
        raise as_error(no_backup(step, missing))


async def _still_there(backups: Backups, leased: LeasedReset, touched: set[ResourceKey]) -> set[ResourceKey]:
    """Databases of `touched` whose dump since the last stop is still there."""
    found: set[ResourceKey] = set()
    for key, step in dumped(leased.reset, leased.plan, leased.steps).items():
        if key not in touched or step.outcome is None:
            continue
        facts = step.outcome.facts
        if await backups.holds(facts["path"], facts["sizeBytes"], facts["sha256"]):
            found.add(key)
    return found
