"""Records in the audit each request and act that the API refuses before it stores anything.

A line says who asked for what, when and why, and why it was refused. A chain of hashes loses no line, so what one
subject can add to it is bounded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.api.context import ApiContext
from daemon.api.problems import ProblemError
from daemon.api.tokens import Caller
from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.resets import Act, Channel, Reset
from statemachines.history.audit import act_entry
from statemachines.refusals import refuse


@asynccontextmanager
async def audit_refused_request(
    context: ApiContext, caller: Caller, environment: str, reason: str | None
) -> AsyncIterator[None]:
    """Record the request when the block refuses it with a problem.

    No reset exists for it, so the line goes into the chain of the environment that the request names, or of the caller
    where the token is not for that environment: a name that anybody can think of makes no chain.
    """
    try:
        yield
    except ProblemError as error:
        if not context.refusals.may_record(caller.subject, context.clock.now()):
            raise
        await context.store.append_audit(
            AuditEntry(
                chain=f"environment/{environment}"
                if caller.sees(environment)
                else f"subject/{caller.subject}",
                at=context.clock.now(),
                action=AuditAction.REQUEST,
                verdict=Verdict.REFUSED,
                actor=caller.subject,
                channel=Channel.HTTP.value,
                environment=environment,
                code=error.problem.code,
                reason=reason,
                detail=error.problem.detail,
            )
        )
        raise


@asynccontextmanager
async def audit_refused_act(
    context: ApiContext, caller: Caller, reset: Reset, act: Act
) -> AsyncIterator[None]:
    """Record the act in the chain of its reset when the block refuses it with a problem."""
    try:
        yield
    except ProblemError as error:
        if not context.refusals.may_record(caller.subject, context.clock.now()):
            raise
        refusal = refuse(error.problem.code, error.problem.detail or error.problem.title)
        await context.store.append_audit(act_entry(act, reset, refusal, at=context.clock.now()))
        raise
