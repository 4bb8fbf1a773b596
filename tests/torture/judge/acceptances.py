"""Rules about accepted changes: nothing runs again for one, and on what is protected it is the word of a second person.

What a person accepts is that tables are empty, which a tool called a success.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.journal import Journal, Marker
from tests.torture.judge import histories
from tests.torture.judge.evidence import Acted, Evidence
from tests.torture.judge.finding import Finding

_RUNS_AGAIN = frozenset({"resume", "resolve"})


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
        plan: Mapping[str, Any] = evidence.plans.get(reset, {})
        keys = {resource["key"] for resource in plan.get("resources", ())}
        protected = plan.get("approvalsRequired", 0) or keys & evidence.protected.keys()
        if protected and histories.person(actor) in histories.requesters(evidence, reset):
            yield Finding("own-acceptance", f"{reset}: {actor} asked for it and accepted what it left")


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
