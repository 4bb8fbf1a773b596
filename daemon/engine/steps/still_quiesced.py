"""Whether what a plan quiesced still is at rest, right before something is destroyed."""

from __future__ import annotations

import asyncio

from daemon.engine.leased_reset import LeasedReset
from daemon.ports.errors import PermanentError
from daemon.ports.quiescing import Quiescing
from schemas.plan import PlannedStep
from schemas.quiescing import ObjectRef
from schemas.reasons import Reason
from statemachines.planning.quiescing import quiesced_by


async def check_still_quiesced(quiescing: Quiescing, leased: LeasedReset, step: PlannedStep) -> None:
    """Refuse to destroy beside a second writer: somebody may have scaled up what was quiesced.

    Raises:
        PermanentError: `quiesce-undone`.
        TemporaryError: that can't be told now.
    """
    if not step.destructive or leased.plan is None:
        return
    targets = quiesced_by(leased.plan.steps)
    found = await asyncio.gather(*(_why_not(quiescing, leased, target) for target in targets))
    if whys := list(filter(None, found)):
        raise PermanentError(
            Reason.QUIESCE_UNDONE,
            f"{step.name}: {'; '.join(whys)}",
            hint="Find out who did that (ArgoCD, an autoscaler, a person); `resetd resume ID` quiesces again.",
        )


async def _why_not(quiescing: Quiescing, leased: LeasedReset, target: ObjectRef) -> str:
    quiesced = await quiescing.find(target)
    if quiesced is None or leased.reset.id not in quiesced.resets:
        return f"{target} is not quiesced any more"
    if not quiesced.held:
        return f"{target} was set free by somebody"
    running = await quiescing.running(target)
    return f"{', '.join(running)} runs" if running else ""
