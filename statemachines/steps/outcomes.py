"""The outcomes of attempts, made from what is known of their commands."""

from __future__ import annotations

from schemas.reasons import Reason
from schemas.resets import Outcome, OutcomeKind


def exited(code: int) -> Outcome:
    """Return the outcome of a command that ended with that exit code, before the catalog says what the code means."""
    kind = OutcomeKind.SUCCEEDED if code == 0 else OutcomeKind.FAILED
    return Outcome(kind=kind, exit_code=code)


def never_started(
    detail: str, reason: Reason = Reason.EXEC_REFUSED, *, temporary: bool = True, hint: str | None = None
) -> Outcome:
    """Return the outcome of a command that never ran and never will, so that a new attempt is the first launch."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        cause=reason,
        detail=detail,
        hint=hint,
        temporary=temporary,
        facts={"launched": False},
    )


def interrupted(detail: str, reason: Reason = Reason.COMMAND_INTERRUPTED) -> Outcome:
    """Return the outcome of a command that is known to be dead, while what it did is not known."""
    return Outcome(kind=OutcomeKind.INTERRUPTED, cause=reason, detail=detail)


def unknown(detail: str) -> Outcome:
    """Return the outcome of a command that may be running or may have done anything."""
    return Outcome(
        kind=OutcomeKind.UNKNOWN,
        cause=Reason.OUTCOME_UNKNOWN,
        detail=detail,
        hint="Look at the pod and the database, then say what happened: `resetd resolve ID STEP OUTCOME`.",
    )
