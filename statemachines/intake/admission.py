"""What becomes of a request that can be read: a new reset, an existing one, or a rejected one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.reasons import Reason
from schemas.requests import ResetRequested
from schemas.resets import ActKind, Channel, Reset, ResetState
from schemas.wire import ResetId
from statemachines.consent import lacks_consent
from statemachines.intake.content_hash import content_hash
from statemachines.intake.requesters import Requester, asked_by, with_requester
from statemachines.lifecycle import WAITING

ENDING = frozenset({ActKind.CANCEL, ActKind.DENY})
"""Acts that end a waiting reset. No request joins a reset that such an act was asked of, because it would end, too."""

_PASSING_REASONS = frozenset({Reason.ENVIRONMENT_BUSY, Reason.TOO_OLD})
"""Reasons that may no longer hold when the very same request comes again."""


@dataclass(frozen=True)
class KeyUse:
    """The first use of an idempotency key: the content and the reset that it led to."""

    content_hash: str
    reset_id: ResetId


@dataclass(frozen=True)
class AdmissionDecision:
    """What becomes of a request."""

    existing: ResetId | None = None
    """The reset that answers the request. Without one a new reset is made."""
    joined: bool = False
    """Whether the existing reset absorbs the request, so that who asks becomes one of its requesters."""
    cause: Reason | None = None
    """Why the new reset is rejected."""
    detail: str | None = None

    @property
    def binds_key(self) -> bool:
        """Whether the request's idempotency key belongs to it from now on.

        It does not where the request was refused for a reason that may pass: the same request may come again.
        """
        return self.cause not in _PASSING_REASONS

    @property
    def conflict(self) -> bool:
        """Whether the request's idempotency key was used before with other content."""
        return self.cause is Reason.IDEMPOTENCY_CONFLICT


def decide_admission(
    *,
    asked: str,
    asked_by: Requester,
    refused: Reason | None,
    refused_detail: str | None,
    seen: ResetId | None,
    key_use: KeyUse | None,
    waiting: Sequence[Reset],
    ending: frozenset[ResetId] | set[ResetId],
    limit_waiting: int,
) -> AdmissionDecision:
    """Decide what becomes of a request: an existing reset answers it or absorbs it, or a new reset is made.

    `asked` is the request's content hash, and `asked_by` the person who asks. `refused` is why the intake refuses it,
    if it does. `seen` is the reset that the same event led to before. `key_use` is the first use of the request's
    idempotency key. `waiting` are the environment's resets in a waiting state, oldest first. `ending` are resets that
    somebody asked to cancel or denied by an act that the lease holder has yet to read.
    """
    if seen is not None:
        return AdmissionDecision(existing=seen)
    if key_use is not None and key_use.content_hash == asked:
        return AdmissionDecision(existing=key_use.reset_id)
    if key_use is not None:
        return AdmissionDecision(
            cause=Reason.IDEMPOTENCY_CONFLICT,
            detail=f"the key was first used by reset {key_use.reset_id}",
        )
    if refused is not None:
        return AdmissionDecision(cause=refused, detail=refused_detail)
    for candidate in waiting:
        if candidate.id not in ending and absorbs(candidate, asked, asked_by):
            return AdmissionDecision(existing=candidate.id, joined=True)
    if len(waiting) >= limit_waiting:
        return AdmissionDecision(
            cause=Reason.ENVIRONMENT_BUSY, detail=f"{len(waiting)} resets wait for it already"
        )
    return AdmissionDecision()


def new_reset(
    reset_id: ResetId,
    request: ResetRequested,
    *,
    channel: Channel,
    source: str | None,
    event_id: str | None,
    trace_parent: str | None,
    number: int,
    decision: AdmissionDecision,
    now: datetime,
) -> Reset:
    """Make the reset of a request: in planning, or rejected where the decision has a cause."""
    return Reset(
        id=reset_id,
        number=number,
        environment=request.environment,
        request=request,
        channel=channel,
        **asked_by(Requester(request.requested_by, channel), ()),
        event_source=source,
        event_id=event_id,
        trace_parent=trace_parent,
        state=ResetState.REJECTED if decision.cause else ResetState.PLANNING,
        cause=decision.cause,
        detail=decision.detail,
        created_at=now,
        updated_at=now,
    )


def absorbs(candidate: Reset, asked: str, requester: Requester) -> bool:
    """Whether the reset `candidate` absorbs a request of `requester` with the content hash `asked`.

    It does where it waits, has started nothing, is not to be cancelled and asks for the very same. Who asks for a reset
    with a token does not count among those who agreed to it. So a queued reset, which starts on the consent that it
    has, does not absorb the request of a person without whose approval it would lack consent.
    """
    started = candidate.destroyed or candidate.stops > 0 or candidate.stopped_in is not None
    if candidate.state not in WAITING or started or candidate.cancel_requested:
        return False
    agreed = candidate.state is ResetState.QUEUED and not lacks_consent(candidate)
    if agreed and lacks_consent(with_requester(candidate, requester)):
        return False
    return content_hash(candidate.request) == asked
