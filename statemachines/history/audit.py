"""The line of the audit that a request or an act leads to, once it was decided. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.resets import Act, Channel, Reset, ResetState
from schemas.wire import StepName
from statemachines.history.chain import BEGINNING, Line, link
from statemachines.refusals import Refusal

DAEMON = "resetd"
"""The chain for acts on the daemon's own state, such as adopting a restored one."""


def act_entry(
    act: Act,
    reset: Reset,
    refusal: Refusal | None,
    *,
    at: datetime,
    again: Sequence[StepName] = (),
    accepts: str | None = None,
) -> AuditEntry:
    """Make the line for an act that was applied to `reset` or refused.

    `again` are the steps that succeeded and that the act makes run once more. `accepts` (`1 of 2`) says how many of the
    people have accepted who have to.
    """
    named: dict[str, Any] = {
        "step": act.step,
        "check": act.check_name,
        "outcome": act.outcome.value if act.outcome else None,
        "planHash": act.plan_hash,
        "replan": act.replan or None,
        "force": act.force or None,
        "again": list(again) or None,
        "accepts": accepts,
    }
    return AuditEntry(
        chain=reset.id,
        at=at,
        action=AuditAction(act.kind.value),
        verdict=Verdict.REFUSED if refusal else Verdict.APPLIED,
        actor=act.actor,
        channel=act.channel.value,
        environment=reset.environment,
        reset_id=reset.id,
        act=act.id or None,
        state=reset.state,
        sequence=reset.sequence,
        code=refusal.reason if refusal else None,
        reason=act.reason,
        detail=refusal.detail if refusal else None,
        facts={name: value for name, value in named.items() if value is not None},
    )


def request_entry(
    reset: Reset, *, at: datetime, joined_by: str | None = None, joined_over: Channel | None = None
) -> AuditEntry:
    """Make the line for the request that became `reset`, or for the request of `joined_by` that `reset` absorbed."""
    rejected = joined_by is None and reset.state is ResetState.REJECTED
    facts = {"mode": reset.request.mode.value, "event": reset.event_id, "source": reset.event_source}
    return AuditEntry(
        chain=reset.id,
        at=at,
        action=AuditAction.JOIN if joined_by else AuditAction.REQUEST,
        verdict=Verdict.REFUSED if rejected else Verdict.APPLIED,
        actor=joined_by or reset.request.requested_by,
        channel=(joined_over or reset.channel).value,
        environment=reset.environment,
        reset_id=reset.id,
        state=reset.state,
        sequence=reset.sequence,
        code=reset.cause if rejected else None,
        reason=None if joined_by else reset.request.reason,
        detail=reset.detail if rejected else None,
        facts={} if joined_by else {name: value for name, value in facts.items() if value is not None},
    )


def proof_entry(reset: Reset, facts: dict[str, Any], *, at: datetime) -> AuditEntry:
    """Make the line for a backup that the daemon restored and compared: `facts` name the dump and where it was."""
    return AuditEntry(
        chain=reset.id,
        at=at,
        action=AuditAction.PROVE,
        verdict=Verdict.APPLIED,
        actor=DAEMON,
        channel=DAEMON,
        environment=reset.environment,
        reset_id=reset.id,
        state=reset.state,
        sequence=reset.sequence,
        facts=facts,
    )


def content(entry: AuditEntry) -> dict[str, Any]:
    """Return what an entry's hash covers: every field but the hash."""
    return entry.model_dump(mode="json", by_alias=True, exclude={"hash"})


def chained(entries: Sequence[AuditEntry], heads: dict[str, tuple[int, str]]) -> list[AuditEntry]:
    """Number and hash the entries, each as the next line of its chain.

    `heads` (chain -> number and hash of its last line) is changed to what it is after these entries.
    """
    stored = []
    for entry in entries:
        number, before = heads.get(entry.chain, (0, BEGINNING))
        numbered = entry.model_copy(update={"number": number + 1})
        whole = numbered.model_copy(update={"hash": link(before, content(numbered))})
        heads[entry.chain] = (whole.number, whole.hash)
        stored.append(whole)
    return stored


def line(entry: AuditEntry) -> Line:
    """Turn a stored entry into a line whose chain can be checked."""
    return Line(entry.number, content(entry), entry.hash)
