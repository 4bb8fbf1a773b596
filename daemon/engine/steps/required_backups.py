"""What a destructive step needs, whatever the order of the plan promises: a backup that succeeded and is still there.

Days may lie between the backup and the step, and another machine may run the step. A directory that the machines do not
share, or that somebody tidied up, leaves nothing to go back to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from daemon.engine.leased_reset import LeasedReset
from daemon.ports.databases import Backups
from daemon.ports.errors import PermanentError
from schemas.plan import PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import StepState
from schemas.wire import ResourceKey


async def check_backups(backups: Backups, leased: LeasedReset, step: PlannedStep) -> None:
    """Call right before the step is launched.

    Raises:
        PermanentError: `backup-unproven`: a database that the step touches has no backup of this reset, or that backup
            is gone.
        TemporaryError: the backup store does not answer.
    """
    if not step.destructive:
        return
    touched = {key for key in step.touches if key.startswith("database/")}
    missing = touched - await _backed_up(backups, leased, touched)
    if missing or not touched:
        raise PermanentError(
            Reason.BACKUP_UNPROVEN,
            f"{step.name} needs a backup of {', '.join(sorted(missing)) or 'what it touches'}, "
            "and none has succeeded and is still there",
            hint="Put its file back (`resetd backups list` names it), or ask for a new reset.",
        )


def backup_facts(leased: LeasedReset, key: ResourceKey) -> Mapping[str, Any] | None:
    """What the reset's backup of a resource told of itself; None: it has no backup that succeeded."""
    for planned, facts in _succeeded(leased):
        if key in planned.touches:
            return facts
    return None


def _succeeded(leased: LeasedReset) -> Iterator[tuple[PlannedStep, Mapping[str, Any]]]:
    """The backups of the plan that succeeded, with the facts of each."""
    for planned in leased.plan.steps if leased.plan else ():
        step = leased.steps[planned.name]
        if planned.kind is StepKind.BACKUP_DATABASE and step.state is StepState.SUCCEEDED:
            yield planned, step.outcome.facts if step.outcome else {}


async def _backed_up(backups: Backups, leased: LeasedReset, touched: set[ResourceKey]) -> set[ResourceKey]:
    """Databases of `touched`, and others, whose backup is still there."""
    found: set[ResourceKey] = set()
    for planned, facts in _succeeded(leased):
        if touched & set(planned.touches) and await backups.holds(facts["path"], facts["sizeBytes"]):
            found.update(planned.touches)
    return found
