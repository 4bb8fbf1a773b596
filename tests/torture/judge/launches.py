"""Rules about launches: at most once, recorded first, alone on its resources, never before the backup."""

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
"""Seconds in which the journal notices that a process was killed: it says no end itself, its connection is closed."""


def twice(evidence: Evidence) -> Iterator[Finding]:
    """One attempt launched twice; two attempts at once; another one after one that may not have any."""
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
        for one, other in combinations(attempts, 2):
            if spans[one][0] < spans[other][1] and spans[other][0] < spans[one][1]:
                yield Finding("overlap", f"{one} and {other} ran at the same time")
        step = planned(evidence, reset, name)
        ordered = sorted(attempts, key=lambda attempt: by_attempt[attempt][0].started)
        for before, after in pairwise(ordered):
            yield from _again(evidence, by_attempt[before][0], by_attempt[after][0], step)


def _again(evidence: Evidence, before: Launch, after: Launch, step: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether a second launch of a step in one reset was allowed without a person, or after one had asked for it.

    Who resumes a reset asks for what has not succeeded; what has, only where they name a step to begin with.
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
    """A launch that the daemon has no attempt of; one of a reset of another round woke up late."""
    known = {one["id"] for reset in evidence.resets.values() for one in reset["attempts"]}
    for launch in Journal(evidence.launches).outermost():
        if launch.attempt is None or launch.attempt in known:
            continue
        if Marker.parse(launch.attempt).reset in evidence.resets:
            yield Finding("unrecorded", f"{_named(launch)} ran as {launch.attempt}, which is not recorded")
        else:
            yield Finding("late", f"{_named(launch)} ran as {launch.attempt}, of no reset of this round")


def not_alone(evidence: Evidence) -> Iterator[Finding]:
    """A command on a resource while another reset was at work on it, from its locks to its rest."""
    working = {reset: _working(evidence, reset) for reset in evidence.resets}
    resources = {reset: {one["key"] for one in plan["resources"]} for reset, plan in evidence.plans.items()}
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
    """A command that still ran when its reset was at rest, and had let its resources go."""
    for attempt, (started, ended) in _ran(evidence).items():
        for _, over in _working(evidence, Marker.parse(attempt).reset):
            if started < over < ended - _HEARD_WITHIN:
                longer = "still runs" if math.isinf(ended) else f"ran for {ended - over:.1f} s more"
                yield Finding("outlived", f"{attempt} {longer} after its reset had let its resources go")


def destroyed_without_backup(evidence: Evidence) -> Iterator[Finding]:
    """A destructive command on a database that has no proven backup of before, or whose file is not that backup.

    Destructive is what the plan calls so; and whatever reached a database of the plan, by PostgreSQL's own word.
    """
    reached = _reached(evidence)
    for launch in Journal(evidence.launches).outermost():
        if launch.attempt is None:
            continue
        marker = Marker.parse(launch.attempt)
        step = planned(evidence, marker.reset, marker.step)
        touched = step["touches"] if step.get("destructive") else ()
        for resource in sorted({*touched, *reached[launch.attempt]}):
            if not resource.startswith("database/"):
                continue
            dumps = [
                one for one in evidence.dumps if (one.reset_id, one.resource) == (marker.reset, resource)
            ]
            if not any(
                one.proven and one.taken_at <= launch.started_at and one.sha256 == one.sha256_on_disk
                for one in dumps
            ):
                yield Finding("no-backup", f"{launch.attempt} on {resource}: {dumps or 'no dump'}")


def _reached(evidence: Evidence) -> Mapping[str, set[str]]:
    """Databases of its reset's plan in which processes of an attempt opened sessions."""
    attempts = {one.id: one.attempt for one in evidence.launches}
    found: dict[str, set[str]] = defaultdict(set)
    for session in evidence.sessions:
        if (attempt := attempts.get(session.launch)) is not None:
            plan = evidence.plans.get(Marker.parse(attempt).reset, {})
            found[attempt] |= {one["key"] for one in plan.get("resources", ())} & {session.database}
    return found


def planned(evidence: Evidence, reset: str, step: str) -> Mapping[str, Any]:
    """The step as the published plan has it; empty where it has none of that name."""
    steps = evidence.plans.get(reset, {}).get("steps", ())
    return next((one for one in steps if one["name"] == step), {})


def outcome_of(evidence: Evidence, attempt: str) -> Mapping[str, Any]:
    """What the daemon says of an attempt; empty where it says nothing."""
    reset = evidence.resets.get(Marker.parse(attempt).reset, {})
    for one in reset.get("attempts", ()):
        if one["id"] == attempt:
            return one["outcome"] or {}
    return {}


def seconds(text: str) -> float:
    """A moment of the API or an event, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def _working(evidence: Evidence, reset: str) -> list[tuple[float, float]]:
    """From each time that it got its locks to the moment when it let them go."""
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
    """From when to when each attempt had a process, in seconds since 1970; infinity while one runs."""
    spans: dict[str, tuple[float, float]] = {}
    for one in evidence.launches:
        if one.attempt is not None:
            begun, over = spans.get(one.attempt, (math.inf, 0.0))
            ended = math.inf if one.ended_at is None else one.ended_at
            spans[one.attempt] = min(begun, one.started_at), max(over, ended)
    return spans


def _named(launch: Launch) -> str:
    return f"#{launch.id} {launch.command} in {launch.pod}"
