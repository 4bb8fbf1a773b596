"""What becomes of a request that can be read: a new reset, an old one, or a refusal. Pure."""

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
from statemachines.lifecycle import WAITING

ENDING = frozenset({ActKind.CANCEL, ActKind.DENY})
"""Acts after which nobody should join: what was asked for next would end with what was asked for before."""


_OF_THE_MOMENT = frozenset({Reason.ENVIRONMENT_BUSY, Reason.TOO_OLD})
"""Reasons that may be gone when the very same request comes again."""


@dataclass(frozen=True)
class KeyUse:
    """What an idempotency key was used for first."""

    content_hash: str
    reset_id: ResetId


@dataclass(frozen=True)
class AdmissionDecision:
    """`existing` is the reset that answers the request; without one a reset is made, rejected where `cause` is set."""

    existing: ResetId | None = None
    joined: bool = False
    cause: Reason | None = None
    detail: str | None = None

    @property
    def binds_key(self) -> bool:
        """Whether the request's idempotency key stands for it from now on: not where only the moment was wrong."""
        return self.cause not in _OF_THE_MOMENT

    @property
    def conflict(self) -> bool:
        """Whether the idempotency key was used before with other content."""
        return self.cause is Reason.IDEMPOTENCY_CONFLICT


def decide_admission(
    *,
    asked: str,
    asked_by: str,
    refused: Reason | None,
    refused_detail: str | None,
    seen: ResetId | None,
    key_use: KeyUse | None,
    waiting: Sequence[Reset],
    ending: frozenset[ResetId] | set[ResetId],
    limit_waiting: int,
) -> AdmissionDecision:
    """Decide about a request whose content hash is `asked`, which `asked_by` asked for.

    `seen` is the reset that the same event led to before, `key_use` the first use of the request's idempotency key,
    `waiting` the environment's resets in a waiting state, oldest first, and `ending` those of them that somebody asked
    to cancel or denied, which the holder has not read yet.
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
    """The reset that a request without an existing one becomes: in planning, or rejected for the decision's cause."""
    return Reset(
        id=reset_id,
        number=number,
        environment=request.environment,
        request=request,
        channel=channel,
        requested_by=(request.requested_by,),
        event_source=source,
        event_id=event_id,
        trace_parent=trace_parent,
        state=ResetState.REJECTED if decision.cause else ResetState.PLANNING,
        cause=decision.cause,
        detail=decision.detail,
        created_at=now,
        updated_at=now,
    )


def absorbs(candidate: Reset, asked: str, asked_by: str) -> bool:
    """Whether a request with the content hash `asked` may join a reset: it waits, nothing was started, and it asks
    for the very same.

    Who agreed to one joins it only while it still waits for consent: once queued, it starts on that consent.
    """
    started = candidate.destroyed or candidate.stopped_in is not None
    if candidate.state not in WAITING or started or candidate.cancel_requested:
        return False
    if candidate.state is ResetState.QUEUED and not lacks_consent(candidate):
        joined = candidate.model_copy(update={"requested_by": (*candidate.requested_by, asked_by)})
        if lacks_consent(joined):
            return False
    return content_hash(candidate.request) == asked
