"""Rules about consent: nothing protected is destroyed without the consent of others to that very plan, still good.

A consent is spent by the first destruction and ends with the stop that follows. What is protected is known from the
fleet, and who agreed from the acts that the daemons accepted; the plan only adds what it asks for beside that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sandbox.journal import Journal, Marker
from tests.torture.judge import histories
from tests.torture.judge.evidence import Evidence
from tests.torture.judge.finding import Finding
from tests.torture.judge.launches import planned, reached, seconds

_BY_HTTP, _BY_KAFKA = 1, 2
"""How many people agree to what is protected, at least: who asks over Kafka is not known."""
_LAUNCH_LATER = 30.0
"""Seconds that a launch may come after its attempt was recorded, which is when its consent is looked at: a daemon may
be killed between the two."""
_CLOCK = 0.1
"""Seconds by which two readings of one clock may be apart."""


@dataclass(frozen=True)
class Destroyed:
    """An attempt that destroyed something, and when its daemon decided to make it, as well as can be told."""

    attempt: str
    reset: str
    at: float
    resources: frozenset[str]


def destroyed_without_consent(evidence: Evidence) -> Iterator[Finding]:
    """Find destruction of what is protected on no consent, on one that was spent before a stop, or on one too old."""
    stops = histories.stops(evidence)
    before: dict[str, float] = {}
    for destroyed in sorted(_destroyed(evidence), key=lambda one: one.at):
        reset, last = destroyed.reset, before.get(destroyed.reset)
        before[reset] = destroyed.at
        since = 0.0
        if last is not None:
            ended = next((stop for stop in stops.get(reset, ()) if last < stop < destroyed.at), None)
            if ended is None:
                continue  # it goes on with what was begun on the same consent
            since = ended
        required = _required(evidence, destroyed)
        given = _given(evidence, destroyed, since)
        good = [at for at in given.values() if destroyed.at - at <= evidence.approval_ttl + _CLOCK]
        what = f"{destroyed.attempt} with {{}} of {required} approvals since {since}"
        if len(given) < required:
            yield Finding("old-consent" if since else "no-consent", what.format(len(given)))
        elif len(good) < required:
            yield Finding("expired-consent", what.format(len(good)) + ", others were too old")


def seen(evidence: Evidence) -> Mapping[str, int]:
    """How much there was to judge."""
    told = [one.data for one in evidence.told]
    expired = [one for one in told if one.get("cause") == "approval-expired"]
    return {
        "approvals": sum(act.kind == "approve" for act in evidence.acted),
        "consents that expired": sum(one["state"] == "awaiting-approval" for one in expired),
        "consents that nobody gave in time": sum(one["state"] == "cancelled" for one in expired),
        "protected things destroyed": sum(_required(evidence, one) > 0 for one in _destroyed(evidence)),
        "protected resets that went on after a stop": sum(
            one.reset_id in {each.reset for each in _destroyed(evidence) if _required(evidence, each)}
            for one in evidence.acted
            if one.kind == "resume"
        ),
    }


def invented_consents(evidence: Evidence) -> Iterator[Finding]:
    """Find approvals that a reset shows and nobody gave to that plan, and those that the audit does not have."""
    given = {
        (act.reset_id, histories.person(act.actor), act.plan_hash)
        for act in evidence.acted
        if act.kind == "approve"
    }
    audited = {
        (line["resetId"], line["actor"], line["facts"].get("planHash"))
        for line in evidence.audit
        if (line["action"], line["verdict"]) == ("approve", "applied")
    }
    for identifier, reset in evidence.resets.items():
        shown = (*reset.get("approvals", {}).get("given", ()), *reset.get("spentApprovals", ()))
        for approval in shown:
            actor, plan_hash = approval["actor"], approval["planHash"]
            if (identifier, histories.person(actor), plan_hash) not in given:
                yield Finding("invented-consent", f"{identifier}: nobody let {actor} approve {plan_hash}")
            if (identifier, actor, plan_hash) not in audited:
                yield Finding("unaudited", f"{identifier}: the audit knows of no approval by {actor}")


def _destroyed(evidence: Evidence) -> Iterator[Destroyed]:
    touched = reached(evidence)
    recorded = {
        attempt["id"]: seconds(attempt["startedAt"])
        for reset in evidence.resets.values()
        for attempt in reset["attempts"]
        if attempt.get("startedAt")
    }
    for launch in Journal(evidence.launches).outermost():
        if launch.attempt is None:
            continue
        marker = Marker.parse(launch.attempt)
        step = planned(evidence, marker.reset, marker.step)
        resources = {*touched[launch.attempt], *(step.get("touches", ()) if step.get("destructive") else ())}
        if resources and step.get("destructive", True):
            at = max(recorded.get(launch.attempt, launch.started_at), launch.started_at - _LAUNCH_LATER)
            yield Destroyed(launch.attempt, marker.reset, min(at, launch.started_at), frozenset(resources))
    for identifier, reset in evidence.resets.items():
        for attempt in reset["attempts"]:
            outcome = attempt["outcome"] or {}
            step = planned(evidence, identifier, attempt["step"])
            rewound = step.get("kind") == "reset-repository" and outcome.get("kind") == "succeeded"
            if rewound and not outcome.get("facts", {}).get("already") and attempt["id"] in recorded:
                touches = frozenset(step["touches"])
                yield Destroyed(attempt["id"], identifier, recorded[attempt["id"]], touches)


def _required(evidence: Evidence, destroyed: Destroyed) -> int:
    """How many people have to agree: as many as the plan says, and at least one or two where something is protected."""
    plan_hash = histories.hash_at(evidence, destroyed.reset, destroyed.at)
    plan = histories.plan_of(evidence, destroyed.reset, plan_hash) or {}
    keys = {resource["key"] for resource in plan.get("resources", ())} | destroyed.resources
    environment = evidence.resets.get(destroyed.reset, {}).get("environment")
    protected = any(_protectors(evidence, key, environment, destroyed, plan) for key in keys)
    by_http = any(asked.reset_id == destroyed.reset for asked in evidence.asked)
    least = (_BY_HTTP if by_http else _BY_KAFKA) if protected else 0
    return max(least, int(plan.get("approvalsRequired", 0)))


def _protectors(
    evidence: Evidence, key: str, environment: str | None, destroyed: Destroyed, plan: Mapping[str, object]
) -> set[str]:
    """The protected environments that use the resource, where no word took that away while it could not be seen."""
    found = set()
    for user, service in evidence.protected.get(key, frozenset()):
        unseen = any(
            (out.environment, out.service) == (user, service) and out.begun < destroyed.at
            for out in evidence.outages
        )
        forgotten = unseen and user != environment and _forgets(plan, user, service, key)
        if not forgotten:
            found.add(user)
    return found


def _approves(evidence: Evidence, subject: str, environment: str) -> bool:
    return any(fnmatchcase(environment, glob) for glob in evidence.approves_in.get(subject, ("*",)))


def _forgets(plan: Mapping[str, object], user: str, service: str | None, key: str) -> bool:
    words = plan.get("assurances") or ()
    assert isinstance(words, list | tuple)
    return any(
        word["kind"] == "forget"
        and word["scope"]["environment"] == user
        and word["scope"].get("service") in {None, service}
        and word["scope"].get("key") in {None, key}
        for word in words
    )


def _given(evidence: Evidence, destroyed: Destroyed, since: float) -> Mapping[str, float]:
    """When each of the others last agreed to the plan that the reset had then, of those who may in each environment."""
    plan_hash = histories.hash_at(evidence, destroyed.reset, destroyed.at)
    plan = histories.plan_of(evidence, destroyed.reset, plan_hash) or {}
    environment = evidence.resets.get(destroyed.reset, {}).get("environment")
    keys = {resource["key"] for resource in plan.get("resources", ())} | destroyed.resources
    concerned = {environment} if environment else set()
    concerned |= {one for key in keys for one in _protectors(evidence, key, environment, destroyed, plan)}
    asked = histories.requesters(evidence, destroyed.reset)
    given: dict[str, float] = {}
    for act in evidence.acted:
        who = histories.person(act.actor)
        mine = (act.reset_id, act.kind, act.plan_hash) == (destroyed.reset, "approve", plan_hash)
        able = all(_approves(evidence, act.actor, name) for name in concerned)
        if mine and able and who not in asked and since < act.taken_by and act.at < destroyed.at:
            given[who] = max(given.get(who, 0.0), act.taken_by)
    return given
