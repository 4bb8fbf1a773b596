"""What every commit of a lease holder must satisfy, whatever store it goes to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.plan import Plan
from schemas.resets import HistoryEntry, Reset
from statemachines.consent import lacks_consent, never_agreed
from statemachines.lifecycle import WORKING

LEASE_HOLDER_FIELDS = (
    "state",
    "plan_hash",
    "approvals_required",
    "approvals",
    "approval_expires_at",
    "waiting_for",
    "cause",
    "detail",
    "hint",
    "stopped_in",
    "stopped_at",
    "destroyed",
    "stops",
    "consent_spent",
    "released",
    "cancel_requested",
    "sequence",
    "acts_seen",
    "wake_at",
    "updated_at",
)
"""The fields of a reset that its lease holder writes. The store alone writes all others, whatever a commit says."""


def check_commit(reset: Reset, plan: Plan | None, history: Sequence[HistoryEntry]) -> None:
    """Refuse a commit whose parts contradict each other. `plan` is a new plan, `history` the new lines.

    Raises:
        ValueError: the history does not lead to the reset's sequence in steps of one or belongs to another reset; or
            the reset names another plan; or it would enter a working state without anybody's consent to its plan, or
            destroy something without a consent that still counts.
    """
    for sequence, entry in enumerate(history, reset.sequence - len(history) + 1):
        if entry.sequence != sequence:
            raise ValueError(f"history of {reset.id} does not lead to sequence {reset.sequence} without gaps")
        if entry.reset_id != reset.id:
            raise ValueError(f"history of another reset than {reset.id}")
    if plan is not None and plan.hash != reset.plan_hash:
        raise ValueError(f"reset {reset.id} names another plan than the one that is stored with it")
    destroys = reset.consent_spent and lacks_consent(reset)
    if destroys or (reset.state in WORKING and never_agreed(reset)):
        raise ValueError(
            f"reset {reset.id} would be {reset.state.value} without consent to {reset.plan_hash}"
        )
