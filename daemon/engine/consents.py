"""Whose consent counts now: that of people who may still approve in every environment that the plan asks for.

The API looks at a token when a consent is given. Tokens are taken away and plans are made anew after that, so that the
lease holder looks again when it reads an act, and until the consent is used.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from daemon.engine.leased_reset import LeasedReset
from daemon.ports.approvers import Approvers
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import Act, ActKind, Approval, Reset
from statemachines.consent import approvers_text, lacks_consent, needs_consent, person, rights_needed
from statemachines.refusals import Refusal, refuse
from statemachines.reset_update import ResetUpdate

log = structlog.get_logger()


class Consents:
    """One for each daemon. Without `approvers` whoever gave a consent keeps the right to it."""

    def __init__(self, approvers: Approvers | None = None) -> None:
        self._approvers = approvers

    def refusal(self, act: Act, reset: Reset, plan: Plan | None) -> Refusal | None:
        """Refuse a consent of a person who may not give it now; None for any other act."""
        consents = act.kind is ActKind.APPROVE or (act.kind is ActKind.ACCEPT and needs_consent(plan, reset))
        if not consents or self._may(act.actor, reset, plan):
            return None
        return refuse(Reason.FORBIDDEN, f"{act.actor} is no {approvers_text(rights_needed(plan, reset))}")

    def forfeited(self, names: Iterable[str], reset: Reset, plan: Plan | None) -> frozenset[str]:
        """Return those of these people who may not give a consent now; nobody where no consent is needed."""
        if not needs_consent(plan, reset):
            return frozenset()
        return frozenset(name for name in names if not self._may(name, reset, plan))

    async def drop_void(self, leased: LeasedReset) -> bool:
        """Take approvals away that were not used yet and whose givers may not approve any more. True: some were.

        Raises:
            LeaseLostError: another process may hold the reset.
        """
        reset = leased.reset
        if reset.consent_spent:
            return False
        void = tuple(each for each in reset.approvals if self._is_void(each, reset, leased.plan))
        if not void:
            return False
        names = ", ".join(dict.fromkeys(each.actor for each in void))
        who = approvers_text(rights_needed(leased.plan, reset))
        kept = tuple(each for each in reset.approvals if each not in void)
        log.warning("consent.void", actors=names, needed=who)
        update = ResetUpdate(approvals=kept)
        if lacks_consent(reset.model_copy(update={"approvals": kept})):
            detail = f"the approval of {names} does not count any more: no token makes them {who}"
            update = ResetUpdate(approvals=kept, cause=Reason.CONSENT_VOID, detail=detail)
        await leased.commit(update, tell_again=True)
        return True

    def _is_void(self, approval: Approval, reset: Reset, plan: Plan | None) -> bool:
        return not approval.spent and not self._may(approval.actor, reset, plan)

    def _may(self, actor: str, reset: Reset, plan: Plan | None) -> bool:
        if self._approvers is None:
            return True
        return person(actor) in {person(name) for name in self._approvers.of(rights_needed(plan, reset))}
