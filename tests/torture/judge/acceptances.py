"""Rules about accepted changes: nothing runs again for one, and on what is protected it is the word of a second person.
Where nobody is known to have asked for what is protected, it is the word of two.

What a person accepts is that tables are empty, which a tool called a success.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.journal import Journal, Marker
from tests.torture.judge import histories
from tests.torture.judge.evidence import Acted, Evidence
from tests.torture.judge.finding import Finding
from tests.torture.judge.launches import seconds
from tests.torture.judge.state_order import STOPPED

_RUNS_AGAIN = frozenset({"resume", "resolve"})
_UNKNOWN_ASKER = 2
"""How many people accept what is protected where nobody is known to have asked."""
_CLOCK = 0.1
"""Seconds by which two readings of one clock may be apart."""


def ran_again(evidence: Evidence) -> Iterator[Finding]:
    """Find a step that ran again after a person had accepted what it left, without anybody asking for that."""
    for act in _applied(evidence):
        step = _accepted_step(evidence, act)
        asked = [
            one.at
            for one in evidence.acted
            if one.reset_id == act.reset_id and one.kind in _RUNS_AGAIN and one.at > act.at
        ]
        for launch in Journal(evidence.launches).outermost():
            if launch.attempt is None or launch.started_at < act.taken_by:
                continue
            marker = Marker.parse(launch.attempt)
            mine = (marker.reset, marker.step) == (act.reset_id, step)
            if mine and not any(at < launch.started_at for at in asked):
                yield Finding("again-after-success", f"{launch.attempt} ran although its change was accepted")


def of_ones_own(evidence: Evidence) -> Iterator[Finding]:
    """Find changes that the audit says were accepted, and nobody did; and those of one's own protected reset."""
    given = {(act.reset_id, act.actor) for act in evidence.acted if act.kind == "accept"}
    for line in evidence.audit:
        if (line["action"], line["verdict"]) != ("accept", "applied"):
            continue
        reset, actor = line["resetId"], line["actor"]
        if reset not in evidence.resets:
            continue
        if (reset, actor) not in given:
            yield Finding("own-acceptance", f"{reset}: nobody let {actor} accept anything")
        if _is_protected(evidence, reset) and histories.person(actor) in histories.requesters(
            evidence, reset
        ):
            yield Finding("own-acceptance", f"{reset}: {actor} asked for it and accepted what it left")


def of_one_alone(evidence: Evidence) -> Iterator[Finding]:
    """Find protected resets that only an event asked for and that went on by one person's accept since the stop."""
    for reset, events in histories.by_reset(evidence).items():
        if not _is_protected(evidence, reset) or any(asked.reset_id == reset for asked in evidence.asked):
            continue
        before, stopped_at = None, 0.0
        for told in events:
            state, at = told.data["state"], histories.told_at(told)
            if state in STOPPED and state != before:
                stopped_at = at
            if before == "failed" and state == "queued":
                audited = {line["action"] for line in _audited(evidence, reset, stopped_at, at)}
                people = {
                    histories.person(act.actor)
                    for act in evidence.acted
                    if (act.reset_id, act.kind) == (reset, "accept")
                    and stopped_at <= act.taken_by
                    and act.at <= at
                }
                if "accept" in audited and not audited & _RUNS_AGAIN and len(people) < _UNKNOWN_ASKER:
                    yield Finding(
                        "lone-acceptance", f"{reset} went on by the accepts of {sorted(people)} alone"
                    )
            before = state


def _audited(evidence: Evidence, reset: str, since: float, until: float) -> Iterator[Mapping[str, Any]]:
    """What was applied to a reset in that time, by the audit."""
    for line in evidence.audit:
        mine = (line["resetId"], line["verdict"]) == (reset, "applied")
        if mine and since <= seconds(line["at"]) <= until + _CLOCK:
            yield line


def _is_protected(evidence: Evidence, reset: str) -> bool:
    plan: Mapping[str, Any] = evidence.plans.get(reset, {})
    keys = {resource["key"] for resource in plan.get("resources", ())}
    return bool(plan.get("approvalsRequired", 0) or keys & evidence.protected.keys())


def _applied(evidence: Evidence) -> Iterator[Acted]:
    """The acceptances that counted, by the audit."""
    applied = {
        (line["resetId"], line["actor"])
        for line in evidence.audit
        if (line["action"], line["verdict"]) == ("accept", "applied")
    }
    for act in evidence.acted:
        if act.kind == "accept" and (act.reset_id, act.actor) in applied:
            yield act


def _accepted_step(evidence: Evidence, act: Acted) -> str | None:
    """The step at which the reset had stopped, by the last status before the act."""
    found = None
    for told in histories.by_reset(evidence).get(act.reset_id, ()):
        if told.data["state"] == "failed" and histories.told_at(told) <= act.taken_by:
            found = told.data.get("step")
    return found
