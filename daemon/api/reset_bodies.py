"""Bodies in which the API shows resets."""

from __future__ import annotations

from typing import Any

from schemas.api import Approvals, GivenApproval, ResetBody, ResetSummary
from schemas.resets import Approval, Attempt, Reset, Step


def summary(reset: Reset) -> ResetSummary:
    """Body of a reset in a list."""
    return ResetSummary.model_validate(_shown(reset))


def body(reset: Reset, steps: tuple[Step, ...], attempts: tuple[Attempt, ...], unread: int) -> ResetBody:
    """Body of one reset: its steps, its attempts, and how many acts its lease holder has still to read."""
    return ResetBody.model_validate(
        _shown(reset) | {"steps": steps, "attempts": attempts, "unread_acts": unread}
    )


def etag(reset: Reset) -> str:
    """Entity tag (RFC 9110) of a reset: its version, which every change of the reset raises."""
    return f'"{reset.version}"'


def _shown(reset: Reset) -> dict[str, Any]:
    values = {name: getattr(reset, name) for name in ResetSummary.model_fields if name in Reset.model_fields}
    return values | {
        "reference": f"{reset.environment}/{reset.number}",
        "spent_approvals": tuple(_given(approval) for approval in reset.approvals if approval.spent),
        "approvals": Approvals(
            required=reset.approvals_required,
            given=tuple(_given(approval) for approval in reset.approvals if not approval.spent),
            expires_at=reset.approval_expires_at,
        ),
    }


def _given(approval: Approval) -> GivenApproval:
    return GivenApproval(actor=approval.actor, plan_hash=approval.plan_hash, at=approval.at)
