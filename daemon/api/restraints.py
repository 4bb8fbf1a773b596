"""What freezes and holds share: when they end, and their lines of the audit."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from daemon.api.context import ApiContext
from daemon.api.problems import violation
from daemon.api.refusal_audit import audit_refused, chain_of
from daemon.api.tokens import Caller
from schemas.api import Problem
from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.resets import Channel
from statemachines.freezes import LONGEST
from statemachines.history.audit import DAEMON


def end_of(expires_at: datetime, now: datetime) -> datetime:
    """Return when a freeze or a hold ends.

    Raises:
        ProblemError: `schema-violation`: the past, or later than one may end.
    """
    if now < expires_at <= now + LONGEST:
        return expires_at
    raise violation("/expiresAt", f"it ends in the future, and after {LONGEST.days} days at most")


def entry_of(
    caller: Caller,
    action: AuditAction,
    environment: str | None,
    reason: str | None,
    at: datetime,
    **changes: Any,  # noqa: ANN401 - fields
) -> AuditEntry:
    """Make the line of the audit: in the environment's chain, or in the daemon's where it is about all of them."""
    entry = AuditEntry(
        chain=DAEMON if environment is None and caller.sees_all else chain_of(caller, environment),
        at=at,
        action=action,
        verdict=Verdict.APPLIED,
        actor=caller.subject,
        channel=Channel.HTTP.value,
        environment=environment,
        reason=reason,
    )
    return entry.model_copy(update=changes)


def audit_refused_restraint(
    context: ApiContext, caller: Caller, action: AuditAction, environment: str | None, reason: str | None
) -> AbstractAsyncContextManager[None]:
    """Record in the audit what the block refuses with a problem."""

    def line(problem: Problem, now: datetime) -> AuditEntry:
        refused = {"verdict": Verdict.REFUSED, "code": problem.code, "detail": problem.detail}
        return entry_of(caller, action, environment, reason, now, **refused)

    return audit_refused(context, caller, line)
