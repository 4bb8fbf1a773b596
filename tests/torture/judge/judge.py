"""The judge: it finds in the evidence what is not as it has to be. Pure, and without a line of the daemon's code.

It knows five things of the product: what a command's idempotency class means, which the published plan names; which
state may follow which (`state_order`); that a resource has one user at a time, and that a stop ends consents and dumps
(`stops`); and what each outcome claims:

- `succeeded`: the journal saw the command end with exit code 0, or its check said that nothing was left to do.
- `failed` with an exit code: the journal saw that code. With `launched: false`: the journal saw nothing of the command.
- `interrupted`: the command or its container was killed; the journal saw it begin at most.
- `unknown`: nobody could know. That is so when the evidence is gone with the container: the control directory lies in
  the container, and no terminated status is left once the pod is gone. It is not so while the container runs, which
  holds the claim and the exit code, nor while the pod is there, whose status tells how the container ended. A person's
  word takes the place of an unknown outcome, so the gatherer looks before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.torture.judge import (
    acceptances,
    consents,
    launches,
    outcomes,
    resources,
    status_events,
    stops,
    words,
)
from tests.torture.judge.evidence import Asked, Evidence
from tests.torture.judge.finding import Finding
from tests.torture.judge.state_order import AT_REST


@dataclass
class Verdict:
    """The findings of one round, and its figures."""

    findings: list[Finding] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    """The number of resets in each state, at the end."""
    launches: int = 0
    """The number of outermost commands of attempts."""
    seen: Counter[str] = field(default_factory=Counter)
    """How much evidence was looked at: where there is none, the absence of findings says nothing."""
    unknown: int = 0
    """The number of attempts that the daemon called unknown."""
    unknown_but_known: int = 0
    """The number of those that could have been known."""


_RULES: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    launches.twice,
    launches.unrecorded,
    launches.not_alone,
    launches.outlived,
    launches.destroyed_without_backup,
    stops.destroyed_on_old_dump,
    consents.destroyed_without_consent,
    consents.invented_consents,
    words.dead_words,
    words.beside_the_unseen,
    words.unaudited_words,
    acceptances.ran_again,
    acceptances.of_ones_own,
    acceptances.of_one_alone,
    launches.elsewhere,
    resources.wrong_database,
    resources.repositories,
    status_events.gaps,
    status_events.impossible_states,
    status_events.changed_events,
    outcomes.untrue,
    outcomes.unknown_but_known,
)


def judge(evidence: Evidence) -> Verdict:
    """Judge the evidence of a round: find everything that is wrong, and count."""
    verdict = Verdict()
    verdict.findings += [*_lost(evidence), *_crashed(evidence)]
    for rule in _RULES:
        verdict.findings += rule(evidence)
    verdict.states.update(str(reset["state"]) for reset in evidence.resets.values())
    verdict.launches = sum(launch.outermost and launch.attempt is not None for launch in evidence.launches)
    attempts = {launch.id for launch in evidence.launches if launch.attempt is not None}
    verdict.seen["sessions of commands in databases"] = sum(
        session.launch in attempts for session in evidence.sessions
    )
    verdict.seen["status events"] = len(evidence.told)
    verdict.seen["backups"] = len(evidence.dumps)
    verdict.seen.update(consents.seen(evidence))
    verdict.seen.update(words.seen(evidence))
    verdict.seen["changes accepted"] = sum(act.kind == "accept" for act in evidence.acted)
    verdict.unknown = len(_unknown(evidence))
    verdict.unknown_but_known = sum(finding.rule == "known-after-all" for finding in verdict.findings)
    return verdict


def _unknown(evidence: Evidence) -> set[str]:
    """The attempts that were called unknown, at the end or at any time before."""
    now = {
        attempt["id"]
        for reset in evidence.resets.values()
        for attempt in reset["attempts"]
        if (attempt["outcome"] or {}).get("kind") == "unknown"
    }
    return now | outcomes.told_unknown(evidence) | {doubt.attempt for doubt in evidence.doubts}


def _lost(evidence: Evidence) -> Iterator[Finding]:
    """Find requests that led to no reset or to several, and resets that never came to rest."""
    asking: Counter[str] = Counter()
    for reset in evidence.resets.values():
        asking.update({*reset["requestedBy"], reset["request"].get("idempotencyKey") or ""})
    for asked in evidence.asked:
        if asking[asked.tag] > 1:
            yield Finding("accepted-twice", f"{asked.tag} led to {asking[asked.tag]} resets")
        elif missing := _missing(evidence, asked, asking):
            yield Finding("lost", f"{asked.tag} for {asked.environment}: {missing}")
    for identifier, reset in evidence.resets.items():
        if reset["state"] not in AT_REST:
            yield Finding("lost", f"{identifier} never came to rest: it is {reset['state']}")
    for text in evidence.stuck:
        yield Finding("lost", text)


def _crashed(evidence: Evidence) -> Iterator[Finding]:
    """Find drives and daemons that crashed. Both go on after a new start, but nothing outside excuses the crash."""
    for what, times in Counter(evidence.crashes).items():
        yield Finding("crashed", f"ended {times} times in an error that nobody expected: {what}")


def _missing(evidence: Evidence, asked: Asked, asking: Counter[str]) -> str | None:
    if not asked.readable:
        return None if asked.tag in evidence.dead_letters else "unreadable, and no dead letter"
    if asked.reset_id is not None:
        known = asked.reset_id in evidence.resets
        return None if known else f"accepted as {asked.reset_id}, which is not there"
    return None if asking[asked.tag] else "published, and no reset knows of it"
