"""The fields of a reset that one commit of its lease holder sets, as a value that a type checker knows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Final

from schemas.reasons import Reason
from schemas.resets import Approval, Reset, ResetState, Waiting
from schemas.wire import StepName
from statemachines.lifecycle import STOPPED


class Keep(Enum):
    """The value of a field that a commit leaves as it is; `None` is a value of its own."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, kw_only=True, slots=True)
class ResetUpdate:
    """Fields of a reset to set. State, sequence and the time of the change follow from the commit itself."""

    plan_hash: str | Keep | None = KEEP
    approvals_required: int | Keep = KEEP
    approvals: tuple[Approval, ...] | Keep = KEEP
    approval_expires_at: datetime | Keep | None = KEEP
    waiting_for: Waiting | Keep | None = KEEP
    cause: Reason | Keep | None = KEEP
    detail: str | Keep | None = KEEP
    hint: str | Keep | None = KEEP
    stopped_in: ResetState | Keep | None = KEEP
    stopped_at: StepName | Keep | None = KEEP
    destroyed: bool | Keep = KEEP
    consent_spent: bool | Keep = KEEP
    released: bool | Keep = KEEP
    cancel_requested: bool | Keep = KEEP
    acts_seen: int | Keep = KEEP
    wake_at: datetime | Keep | None = KEEP


UNCHANGED: Final = ResetUpdate()
"""Sets no field."""

UPDATED_FIELDS: Final = tuple(field.name for field in fields(ResetUpdate))


def updated(reset: Reset, update: ResetUpdate, *, state: ResetState, at: datetime) -> Reset:
    """The reset in `state`, with the fields of `update`, changed at `at`.

    A reset that stops counts the stop. Approvals on which something was destroyed are spent with it: whoever looks at
    the world before they let the reset go on may see another one than those who approved.
    """
    values: dict[str, object] = {"state": state, "updated_at": at}
    if update is not UNCHANGED:
        for name in UPDATED_FIELDS:
            value = getattr(update, name)
            if value is not KEEP:
                values[name] = value
    if reset.state in STOPPED and state not in STOPPED:
        values["released"] = False  # what goes on quiesces again
    after = reset.model_copy(update=values)
    return _stopped(after) if state in STOPPED and state is not reset.state else after


def _stopped(reset: Reset) -> Reset:
    values: dict[str, object] = {"stops": reset.stops + 1, "consent_spent": False}
    if reset.consent_spent:
        values["approvals"] = tuple(each.model_copy(update={"spent": True}) for each in reset.approvals)
    return reset.model_copy(update=values)
