"""Rules about words: none is relied on that does not count, and nothing is done beside a production that nobody saw.

A reset is let to work on facts that are read between its last `queued` and its `quiescing`. A word that was not in
force at any moment between the two was not to be used. Nor was one that is older than facts by which everything was
seen: a reset that went to work without any word had such facts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tests.torture.judge import histories
from tests.torture.judge.evidence import Evidence, Out, Word
from tests.torture.judge.finding import Finding
from tests.torture.judge.histories import Begin
from tests.torture.judge.launches import seconds

_GIVEN_WITHIN = 60.0


def seen(evidence: Evidence) -> Mapping[str, int]:
    """How much there was to judge."""
    begun = [
        histories.plan_of(evidence, one.reset, one.plan_hash) or {} for one in histories.begins(evidence)
    ]
    return {
        "words given": len(evidence.words),
        "words that work relied on": sum(len(plan.get("assurances", ())) for plan in begun),
        "services that nobody could ask": len(evidence.outages),
        "resets refused for what nobody could say": sum(
            reset.get("cause") in {"sharing-unknown", "own-word"} for reset in evidence.resets.values()
        ),
    }


def dead_words(evidence: Evidence) -> Iterator[Finding]:
    """Find work on a plan that relies on a word that nobody gave, or one's own, or one that had ended."""
    for begin in histories.begins(evidence):
        plan = histories.plan_of(evidence, begin.reset, begin.plan_hash) or {}
        asked = histories.requesters(evidence, begin.reset)
        for used in plan.get("assurances", ()):
            what = f"{begin.reset} relies on the word {used['id']} to {used['kind']} of {used['givenBy']}"
            word = _given(evidence, used)
            if word is None:
                yield Finding("dead-word", f"{what}, which nobody gave")
            elif histories.person(word.by) in asked:
                yield Finding("dead-word", f"{what}, who asked for the reset")
            elif not _in_force(word, begin):
                yield Finding("dead-word", f"{what}, which had ended when its facts were read")
            elif _seen_since(evidence, used, begin):
                yield Finding("dead-word", f"{what}, although everything was seen after it was given")


def beside_the_unseen(evidence: Evidence) -> Iterator[Finding]:
    """Find work that began while a protected service could not be asked, and no word that covers it was relied on."""
    for begin in histories.begins(evidence):
        plan = histories.plan_of(evidence, begin.reset, begin.plan_hash)
        environment = evidence.resets.get(begin.reset, {}).get("environment")
        if plan is None:
            continue
        for out in evidence.outages:
            whole = out.begun < begin.queued_at and begin.at < (out.over or math.inf)
            if not whole or out.environment == environment:
                continue
            if not any(_covers(evidence, used, out, plan) for used in plan.get("assurances", ())):
                text = (
                    f"{begin.reset} began although nobody could say what {out.environment}/{out.service} uses"
                )
                yield Finding("unseen-user", text)


def unaudited_words(evidence: Evidence) -> Iterator[Finding]:
    """Find words that were accepted or taken back, of which the audit says nothing."""
    audited = {
        (line["action"], line["facts"].get("word")) for line in evidence.audit if line["verdict"] == "applied"
    }
    for word in evidence.words:
        if word.id is not None and (word.kind, word.id) not in audited:
            yield Finding("unaudited", f"the audit does not know that {word.by} gave the word {word.id}")
        if not math.isinf(word.ended_at) and ("withdraw", word.id) not in audited:
            yield Finding("unaudited", f"the audit does not know that the word {word.id} was taken back")


def _given(evidence: Evidence, used: Mapping[str, Any]) -> Word | None:
    """The word as it was given; one whose answer was lost is known by who gave it, and when, and about what."""
    for word in evidence.words:
        if word.id == used["id"]:
            return word
    scope = used["scope"]
    for word in evidence.words:
        same = (word.kind, word.by, word.service, word.key) == (
            used["kind"],
            used["givenBy"],
            scope.get("service"),
            scope.get("key"),
        )
        if word.id is None and same and 0.0 <= seconds(used["givenAt"]) - word.given_at < _GIVEN_WITHIN:
            return word
    return None


def _in_force(word: Word, begin: Begin) -> bool:
    return word.given_at <= begin.at and begin.queued_at < min(word.expires_at, word.ended_at)


def _seen_since(evidence: Evidence, used: Mapping[str, Any], begin: Begin) -> bool:
    """Whether a reset of another environment read its facts after the word and before these, and needed no word."""
    environment = used["scope"]["environment"]
    for other in histories.begins(evidence):
        plan = histories.plan_of(evidence, other.reset, other.plan_hash)
        asked_for = evidence.resets.get(other.reset, {}).get("environment")
        between = seconds(used["givenAt"]) < other.queued_at and other.at < begin.queued_at
        if used["kind"] != "confirm" or plan is None or not between or asked_for in {None, environment}:
            continue
        if not any(word["kind"] == "confirm" for word in plan.get("assurances", ())):
            return True
    return False


def _covers(evidence: Evidence, used: Mapping[str, Any], out: Out, plan: Mapping[str, Any]) -> bool:
    """Whether the word says what the service uses: all of it, or whether it is what the plan touches.

    One without a list says so only where the plan shows what is remembered of that service.
    """
    word = _given(evidence, used)
    if word is None or word.kind != "confirm" or word.environment != out.environment:
        return False
    shown = {(use["environment"], use["service"]) for use in used.get("remembered", ())}
    if used.get("uses") is None and (out.environment, out.service) not in shown:
        return False
    databases = {resource["key"] for resource in plan["resources"] if resource["key"].startswith("database/")}
    return word.service in {None, out.service} and (word.key is None or databases == {word.key})
