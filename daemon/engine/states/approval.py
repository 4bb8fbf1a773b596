"""`awaiting-approval`: enough people agree to this very plan, or nobody does in time."""

from __future__ import annotations

from daemon.engine.consents import Consents
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.states.waiting import Pause, WaitingLimits
from daemon.ports.clock import Clock
from schemas.reasons import Reason
from schemas.resets import Waiting
from statemachines.consent import (
    TOO_FEW,
    approvers_text,
    consenting,
    lacks_consent,
    rights_needed,
    usable_until,
)
from statemachines.lifecycle import Trigger
from statemachines.reset_update import ResetUpdate
from statemachines.windows import agree_until

_WITHOUT_EXPIRY = 3600.0
"""Seconds until the loop looks again at an approval that does not expire."""


class ApprovalState:
    """Leads to `queued`, or to `cancelled` once the approval has expired."""

    def __init__(self, leased: LeasedReset, consents: Consents, clock: Clock, limits: WaitingLimits) -> None:
        self._consents = consents
        self._limits = limits
        self._leased = leased
        self._clock = clock

    async def run(self) -> Pause | None:
        """Count who agreed and may still do so. A pause while more people have to agree and there is time."""
        await self._consents.drop_void(self._leased)
        reset = self._leased.reset
        window = self._limits.bound(reset, self._leased.plan, self._clock.now())
        if not lacks_consent(reset):
            until = usable_until(reset, self._limits.approval_ttl)
            if until is not None and window is not None:
                until = agree_until(window, until - self._limits.approval_ttl, self._limits.approval_ttl)
            await self._leased.commit(
                ResetUpdate(approval_expires_at=until, cause=None, detail=None, hint=None, waiting_for=None),
                trigger=Trigger.APPROVED,
            )
            return None
        expires = reset.approval_expires_at
        if expires is not None and self._clock.now() >= expires:
            await self._leased.commit(
                ResetUpdate(cause=Reason.APPROVAL_EXPIRED, detail=None, waiting_for=None),
                trigger=Trigger.EXPIRED,
            )
            return None
        left = (expires - self._clock.now()).total_seconds() if expires else _WITHOUT_EXPIRY
        who = approvers_text(rights_needed(self._leased.plan, reset))
        detail = f"{len(consenting(reset))} of {reset.approvals_required} approvals given, each by an {who}"
        warnings = self._leased.plan.warnings if self._leased.plan else ()
        bounds = (f"They are for {window.opening.text}",) if window is not None else ()
        said = (detail, *bounds, *(warning for warning in warnings if warning.startswith(TOO_FEW)))
        return Pause(Waiting(reason="approval", detail=". ".join(said), until=expires), left)
