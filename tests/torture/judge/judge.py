"""Findings out of evidence: what is not as it has to be. Pure, and without a line of the daemon's code.

What it knows of the product: what a command's idempotency class means (as the published plan names it), which state
may follow which (`life`), that a resource has one user at a time, and what each outcome claims:

- `succeeded`: the journal saw the command end with exit code 0 (or its check said that nothing was left to do).
- `failed` with an exit code: the journal saw that code. With `launched: false`: the journal saw nothing of it.
- `interrupted`: it was killed, or its container was; the journal saw it begin at most.
- `unknown`: it could not be known. That is so when the evidence is gone with its container: the control directory lies
  in the container, and no terminated status of it is left once the pod is gone. A container that still runs at
  the end of the round holds the claim and the exit code, and of one that ended in a pod that is still there Kubernetes
  tells the end: whoever asks can know. A person's word takes the place of such an outcome, so it is looked at before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.torture.judge import launches, outcomes, resources, status_events
from tests.torture.judge.evidence import Asked, Evidence
from tests.torture.judge.finding import Finding
from tests.torture.judge.state_order import AT_REST


@dataclass
class Verdict:
    """Of one round."""

    findings: list[Finding] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    """Resets by the state they came to rest in."""
    launches: int = 0
    """Outermost commands of attempts."""
    seen: Counter[str] = field(default_factory=Counter)
    """How much was looked at: no finding in nothing is no finding."""
    unknown: int = 0
    """Attempts whose outcome the daemon called unknown."""
    unknown_but_known: int = 0
    """How many of them could have been known."""


_RULES: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    launches.twice,
    launches.unrecorded,
    launches.not_alone,
    launches.outlived,
    launches.destroyed_without_backup,
    resources.wrong_database,
    resources.repositories,
    status_events.gaps,
    status_events.impossible_states,
    status_events.changed_events,
    outcomes.outcomes,
    outcomes.doubts,
)


def judge(evidence: Evidence) -> Verdict:
    """Everything that is wrong in a round, and its figures."""
    verdict = Verdict()
    verdict.findings += [*_lost(evidence), *_crashed(evidence)]
    for rule in _RULES:
        verdict.findings += rule(evidence)
    verdict.states.update(str(reset["state"]) for reset in evidence.resets.values())
    verdict.launches = sum(one.outermost and one.attempt is not None for one in evidence.launches)
    attempts = {one.id for one in evidence.launches if one.attempt is not None}
    verdict.seen["sessions of commands in databases"] = sum(
        one.launch in attempts for one in evidence.sessions
    )
    verdict.seen["status events"] = len(evidence.told)
    verdict.seen["backups"] = len(evidence.dumps)
    verdict.unknown = len(_unknown(evidence))
    verdict.unknown_but_known = sum(one.rule == "known-after-all" for one in verdict.findings)
    return verdict


def _unknown(evidence: Evidence) -> set[str]:
    """Attempts whose outcome was called unknown, at the end or at any time before."""
    now = {
        one["id"]
        for reset in evidence.resets.values()
        for one in reset["attempts"]
        if (one["outcome"] or {}).get("kind") == "unknown"
    }
    return now | outcomes.told_unknown(evidence) | {one.attempt for one in evidence.doubts}


def _lost(evidence: Evidence) -> Iterator[Finding]:
    """What was accepted and never came to rest, or left no trace at all; or more than one."""
    asking: Counter[str] = Counter()
    for reset in evidence.resets.values():
        asking.update({*reset["requestedBy"], reset["request"].get("idempotencyKey") or ""})
    for one in evidence.asked:
        if asking[one.tag] > 1:
            yield Finding("accepted-twice", f"{one.tag} led to {asking[one.tag]} resets")
        elif missing := _missing(evidence, one, asking):
            yield Finding("lost", f"{one.tag} for {one.environment}: {missing}")
    for identifier, reset in evidence.resets.items():
        if reset["state"] not in AT_REST:
            yield Finding("lost", f"{identifier} never came to rest: it is {reset['state']}")
    for text in evidence.stuck:
        yield Finding("lost", text)


def _crashed(evidence: Evidence) -> Iterator[Finding]:
    """It would be driven, or started, again; but nothing outside excuses it."""
    for what, times in Counter(evidence.crashes).items():
        yield Finding("crashed", f"ended {times} times in an error that nobody expected: {what}")


def _missing(evidence: Evidence, asked: Asked, asking: Counter[str]) -> str | None:
    if not asked.readable:
        return None if asked.tag in evidence.dead_letters else "unreadable, and no dead letter"
    if asked.reset_id is not None:
        known = asked.reset_id in evidence.resets
        return None if known else f"accepted as {asked.reset_id}, which is not there"
    return None if asking[asked.tag] else "published, and no reset knows of it"
