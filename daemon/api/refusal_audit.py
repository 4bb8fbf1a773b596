"""Records in the audit each request and act that the API refuses before it stores anything.

A line says who asked for what, when and why, and why it was refused. A chain of hashes loses no line, so what one
subject can add to it is bounded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime

from daemon.api.context import ApiContext
from daemon.api.problems import ProblemError
from daemon.api.tokens import Caller
from schemas.api import Problem
from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.resets import Act, Channel, Reset
from statemachines.history.audit import act_entry
from statemachines.refusals import refuse


def chain_of(caller: Caller, environment: str | None) -> str:
    """Name the chain of what concerns no reset: the environment's, or the caller's where the token is not for it.

    So a name that anybody can think of makes no chain.
    """
    named = environment is not None and caller.sees(environment)
    return f"environment/{environment}" if named else f"subject/{caller.subject}"


@asynccontextmanager
async def audit_refused(
    context: ApiContext, caller: Caller, line: Callable[[Problem, datetime], AuditEntry]
) -> AsyncIterator[None]:
    """Record `line` when the block refuses what was asked with a problem, and the caller's budget allows it."""
    try:
        yield
    except ProblemError as error:
        now = context.clock.now()
        if context.refusals.may_record(caller.subject, now):
            await context.store.append_audit(line(error.problem, now))
        raise


def audit_refused_request(
    context: ApiContext, caller: Caller, environment: str, reason: str | None
) -> AbstractAsyncContextManager[None]:
    """Record the request when the block refuses it with a problem. No reset exists for it."""

    def line(problem: Problem, now: datetime) -> AuditEntry:
        return AuditEntry(
            chain=chain_of(caller, environment),
            at=now,
            action=AuditAction.REQUEST,
            verdict=Verdict.REFUSED,
            actor=caller.subject,
            channel=Channel.HTTP.value,
            environment=environment,
            code=problem.code,
            reason=reason,
            detail=problem.detail,
        )

    return audit_refused(context, caller, line)


def audit_refused_act(
    context: ApiContext, caller: Caller, reset: Reset, act: Act
) -> AbstractAsyncContextManager[None]:
    """Record the act in the chain of its reset when the block refuses it with a problem."""

    def line(problem: Problem, now: datetime) -> AuditEntry:
        return act_entry(act, reset, refuse(problem.code, problem.detail or problem.title), at=now)

    return audit_refused(context, caller, line)
