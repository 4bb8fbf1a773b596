"""Outcomes of attempts, by what is known of their commands."""

from __future__ import annotations

from schemas.reasons import Reason
from schemas.resets import Outcome, OutcomeKind


def exited(code: int) -> Outcome:
    """It ended with that exit code; the catalog says what it means."""
    kind = OutcomeKind.SUCCEEDED if code == 0 else OutcomeKind.FAILED
    return Outcome(kind=kind, exit_code=code)


def never_started(detail: str, reason: Reason = Reason.EXEC_REFUSED, *, temporary: bool = True) -> Outcome:
    """It never ran, and never will: whatever its class, a new attempt is no second one."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        cause=reason,
        detail=detail,
        temporary=temporary,
        facts={"launched": False},
    )


def interrupted(detail: str, reason: Reason = Reason.COMMAND_INTERRUPTED) -> Outcome:
    """It is known to be dead; what it did is not."""
    return Outcome(kind=OutcomeKind.INTERRUPTED, cause=reason, detail=detail)


def unknown(detail: str) -> Outcome:
    """It may be running, or have done anything."""
    return Outcome(
        kind=OutcomeKind.UNKNOWN,
        cause=Reason.OUTCOME_UNKNOWN,
        detail=detail,
        hint="Look at the pod and the database, then say what happened: `resetd resolve ID STEP OUTCOME`.",
    )
