"""Rules about launches: each at most once, recorded first, alone on its resources, and never before the backup."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import combinations, pairwise
from typing import Any

from sandbox.journal import Journal, Launch, Marker
from tests.torture.judge.evidence import Evidence
from tests.torture.judge.finding import Finding
from tests.torture.judge.state_order import WITHOUT_LOCKS, WORKING

_ASKED_AGAIN = frozenset({"resume", "resolve"})
_HEARD_WITHIN = 0.5
"""Seconds within which the journal notices that a process was killed, by the end of its connection."""


def twice(evidence: Evidence) -> Iterator[Finding]:
    """Find an attempt that was launched twice, attempts of a step at once, and attempts that were not allowed."""
    journal = Journal(evidence.launches)
    by_attempt = journal.by_attempt()
    by_step: dict[tuple[str, str], list[str]] = defaultdict(list)
    for attempt, launches in by_attempt.items():
        if len(launches) > 1:
            yield Finding("same-attempt", f"{attempt}: {', '.join(map(_named, launches))}")
        marker = Marker.parse(attempt)
        by_step[marker.reset, marker.step].append(attempt)
    for (reset, name), attempts in by_step.items():
        spans = {attempt: journal.span(attempt) for attempt in attempts}
        for attempt, other in combinations(attempts, 2):
            if spans[attempt][0] < spans[other][1] and spans[other][0] < spans[attempt][1]:
                yield Finding("overlap", f"{attempt} and {other} ran at the same time")
        step = planned(evidence, reset, name)
        ordered = sorted(attempts, key=lambda attempt: by_attempt[attempt][0].started)
        for before, after in pairwise(ordered):
            yield from _again(evidence, by_attempt[before][0], by_attempt[after][0], step)


def _again(evidence: Evidence, before: Launch, after: Launch, step: Mapping[str, Any]) -> Iterator[Finding]:
    """Find a second launch of a step in one reset that neither its idempotency class nor a person allowed.

    A person who resumes a reset asks for the steps that have not succeeded. They ask for steps that have succeeded only
    by naming the step to begin with.
    """
    assert before.attempt is not None
    reset = Marker.parse(before.attempt).reset
    between = (before.started_at, after.started_at)
    asked = [
        act
        for act in evidence.acted
        if act.reset_id == reset and act.kind in _ASKED_AGAIN and between[0] < act.at < between[1]
    ]
    succeeded = outcome_of(evidence, before.attempt).get("kind") == "succeeded"
    if asked and not (succeeded and all(act.step is None for act in asked if act.kind == "resume")):
        return
    moved = step.get("scope") == "container" and before.container_id != after.container_id
    if step.get("idempotent") == "never" and not asked:
        yield Finding("forbidden-retry", f"{before.attempt}, then {after.attempt}, which nobody asked for")
    elif succeeded and not step.get("repeat") and not moved:
        yield Finding("again-after-success", f"{before.attempt} succeeded, then {after.attempt}")


def unrecorded(evidence: Evidence) -> Iterator[Finding]:
    """Find launches without a recorded attempt; a launch of another round's reset came late."""
    known = {attempt["id"] for reset in evidence.resets.values() for attempt in reset["attempts"]}
    for launch in Journal(evidence.launches).outermost():
        if launch.attempt is None or launch.attempt in known:
            continue
        if Marker.parse(launch.attempt).reset in evidence.resets:
            yield Finding("unrecorded", f"{_named(launch)} ran as {launch.attempt}, which is not recorded")
        else:
            yield Finding("late", f"{_named(launch)} ran as {launch.attempt}, of no reset of this round")


def elsewhere(evidence: Evidence) -> Iterator[Finding]:
    """Find commands that ran in the pods of another environment than the one that was asked for."""
    wanted: dict[str, str] = {}
    for identifier, reset in evidence.resets.items():
        by = {*reset["requestedBy"], reset["request"].get("idempotencyKey")}
        asked = [one for one in evidence.asked if one.reset_id == identifier or one.tag in by]
        # What was asked for counts, and not what the daemon made of it.
        environment = asked[0].environment if asked else reset.get("environment")
        if environment is not None:
            wanted[identifier] = environment
    for launch in evidence.launches:
        if launch.attempt is None:
            continue
        environment = wanted.get(Marker.parse(launch.attempt).reset, launch.namespace)
        if launch.namespace != environment:
            yield Finding("elsewhere", f"{_named(launch)} ran for {launch.attempt}, of {environment}")


def not_alone(evidence: Evidence) -> Iterator[Finding]:
    """Find commands on a resource at which another reset was at work, which it is from its locks to its rest."""
    working = {reset: _working(evidence, reset) for reset in evidence.resets}
    resources = {
        reset: {resource["key"] for resource in plan["resources"]} for reset, plan in evidence.plans.items()
    }
    for attempt, (started, ended) in _ran(evidence).items():
        marker = Marker.parse(attempt)
        touched = set(planned(evidence, marker.reset, marker.step).get("touches", ()))
        for other, spans in working.items():
            shared = touched & resources.get(other, set())
            if other == marker.reset or not shared:
                continue
            if any(begun < max(started, ended - _HEARD_WITHIN) and started < over for begun, over in spans):
                text = f"{attempt} ran while {other} was at work on {', '.join(sorted(shared))}"
                yield Finding("not-alone", text)


def outlived(evidence: Evidence) -> Iterator[Finding]:
    """Find commands that still ran after their reset had let its resources go."""
    for attempt, (started, ended) in _ran(evidence).items():
        for _, over in _working(evidence, Marker.parse(attempt).reset):
            if started < over < ended - _HEARD_WITHIN:
                longer = "still runs" if math.isinf(ended) else f"ran for {ended - over:.1f} s more"
                yield Finding("outlived", f"{attempt} {longer} after its reset had let its resources go")


def destroyed_without_backup(evidence: Evidence) -> Iterator[Finding]:
    """Find destructive commands on a database without a proven backup from before, or with another file on the disk.

    A command is destructive if the plan calls it so, or if it reached a database of the plan by PostgreSQL's log.
    """
    opened = reached(evidence)
    for launch in Journal(evidence.launches).outermost():
        if launch.attempt is None:
            continue
        marker = Marker.parse(launch.attempt)
        step = planned(evidence, marker.reset, marker.step)
        touched = step["touches"] if step.get("destructive") else ()
        for resource in sorted({*touched, *opened[launch.attempt]}):
            if not resource.startswith("database/"):
                continue
            dumps = [
                dump for dump in evidence.dumps if (dump.reset_id, dump.resource) == (marker.reset, resource)
            ]
            if not any(
                dump.proven and dump.taken_at <= launch.started_at and dump.sha256 == dump.sha256_on_disk
                for dump in dumps
            ):
                yield Finding("no-backup", f"{launch.attempt} on {resource}: {dumps or 'no dump'}")


def reached(evidence: Evidence) -> Mapping[str, set[str]]:
    """The databases of their reset's plan in which the processes of each attempt opened sessions."""
    attempts = {launch.id: launch.attempt for launch in evidence.launches}
    found: dict[str, set[str]] = defaultdict(set)
    for session in evidence.sessions:
        if (attempt := attempts.get(session.launch)) is not None:
            plan = evidence.plans.get(Marker.parse(attempt).reset, {})
            found[attempt] |= {resource["key"] for resource in plan.get("resources", ())} & {session.database}
    return found


def planned(evidence: Evidence, reset: str, step: str) -> Mapping[str, Any]:
    """A step as the published plan has it; empty where the plan has no step of that name."""
    steps = evidence.plans.get(reset, {}).get("steps", ())
    return next((planned_step for planned_step in steps if planned_step["name"] == step), {})


def outcome_of(evidence: Evidence, attempt: str) -> Mapping[str, Any]:
    """The outcome that the daemon gives an attempt; empty where it gives none."""
    reset = evidence.resets.get(Marker.parse(attempt).reset, {})
    for recorded in reset.get("attempts", ()):
        if recorded["id"] == attempt:
            return recorded["outcome"] or {}
    return {}


def seconds(text: str) -> float:
    """A time of the API or of an event, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def _working(evidence: Evidence, reset: str) -> list[tuple[float, float]]:
    """The spans in which a reset held its locks, in seconds since 1970; infinity for an end that has not come."""
    spans: list[tuple[float, float]] = []
    begun: float | None = None
    for told in evidence.told:
        if told.data["resetId"] != reset or (told.data.get("step") and told.type.endswith("step-started.v1")):
            continue
        state, at = told.data["state"], seconds(told.data["occurredAt"])
        if begun is None and state == WORKING[0]:
            begun = at
        elif begun is not None and state in WITHOUT_LOCKS:
            spans.append((begun, at))
            begun = None
    return spans if begun is None else [*spans, (begun, math.inf)]


def _ran(evidence: Evidence) -> Mapping[str, tuple[float, float]]:
    """The span in which each attempt had processes, in seconds since 1970; infinity while a process runs."""
    spans: dict[str, tuple[float, float]] = {}
    for launch in evidence.launches:
        if launch.attempt is not None:
            begun, over = spans.get(launch.attempt, (math.inf, 0.0))
            ended = math.inf if launch.ended_at is None else launch.ended_at
            spans[launch.attempt] = min(begun, launch.started_at), max(over, ended)
    return spans


def _named(launch: Launch) -> str:
    return f"#{launch.id} {launch.command} in {launch.pod}"
