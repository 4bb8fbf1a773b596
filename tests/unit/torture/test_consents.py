"""The judge finds each way in which something protected is destroyed without a consent that counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.torture.judge.evidence import Acted, Asked, Evidence, Out, Word
from tests.torture.judge.judge import judge
from tests.unit.torture.cases import (
    BEGUN,
    CORE,
    RESET,
    SEED,
    WIPE,
    attempt,
    moment,
    plan,
    reset,
    rules,
    story,
    well,
)

STATES = (
    *("planning", "awaiting-approval", "queued", "quiescing", "backing-up", "migrating-core"),
    *("seeding", "resetting-git", "verifying", "releasing", "done"),
)
"""One status a second, from the first one on: the plan is shown at 2, and the wipe is launched at 5."""
PLAN, FORMER = "sha256:plan", "sha256:former"
PRODUCTION = frozenset({("los-demo-production", "los-core-api")})


def approved(at: float, actor: str = "ben", plan_hash: str = PLAN) -> Acted:
    return Acted(BEGUN + at, RESET, "approve", actor=actor, plan_hash=plan_hash, answered_at=BEGUN + at)


def audited(*acts: Acted) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "action": act.kind,
            "verdict": "applied",
            "actor": act.actor,
            "resetId": act.reset_id,
            "facts": {"planHash": act.plan_hash},
        }
        for act in acts
    )


def agreed(*acts: Acted, **more: Any) -> Evidence:  # noqa: ANN401 - any field of the evidence
    """The wipe and the seed of a protected database, which ana asked for with a token."""
    values: dict[str, Any] = {
        "asked": (Asked(f"tag of {RESET}", "qa-sandbox", reset_id=RESET, by="ana"),),
        "plans": {RESET: plan() | {"approvalsRequired": 1, "hash": PLAN}},
        "told": story(RESET, STATES, plan_hash=PLAN),
        "protected": {CORE: PRODUCTION},
        "approval_ttl": 3.0,
        "acted": acts,
        "audit": audited(*acts),
    }
    made = [
        attempt(RESET, WIPE) | {"startedAt": moment(4.9)},
        attempt(RESET, SEED) | {"startedAt": moment(6.4)},
    ]
    values["resets"] = {RESET: reset(RESET, made) | {"sequence": len(STATES)}}
    return replace(well(), **values | more)


def test_what_somebody_else_agreed_to_in_time_is_as_it_has_to_be() -> None:
    assert rules(agreed(approved(2.5))) == set()


@pytest.mark.parametrize(
    "acts",
    [
        (),
        (approved(2.5, "ana"),),
        (approved(2.5, " ANA"),),
        (approved(2.5, plan_hash=FORMER),),
        (approved(5.5),),
        (Acted(BEGUN + 2.5, RESET, "deny", actor="ben", plan_hash=PLAN),),
    ],
    ids=["nobody", "who asked", "the same under another spelling", "another plan", "too late", "a denial"],
)
def test_destruction_that_nobody_else_agreed_to_is_found(acts: tuple[Acted, ...]) -> None:
    assert rules(agreed(*acts)) == {"no-consent"}


def test_that_the_plan_asks_for_no_consent_does_not_matter_where_a_production_uses_the_database() -> None:
    lenient = {RESET: plan() | {"approvalsRequired": 0, "hash": PLAN}}
    assert rules(agreed(plans=lenient)) == {"no-consent"}
    assert rules(agreed(plans=lenient, protected={})) == set()


def test_a_request_over_kafka_needs_two_since_nobody_knows_who_asked() -> None:
    by_kafka = (Asked(f"tag of {RESET}", "qa-sandbox"),)
    assert rules(agreed(approved(2.5), asked=by_kafka)) == {"no-consent"}
    assert rules(agreed(approved(2.5), approved(2.6, "Ben"), asked=by_kafka)) == {"no-consent"}
    assert rules(agreed(approved(2.5), approved(2.6, "cleo"), asked=by_kafka)) == set()


def test_who_joined_a_request_agrees_to_it_no_more() -> None:
    asked = (*agreed().asked, Asked("joined", "qa-sandbox", reset_id=RESET, by="ben"))
    assert rules(agreed(approved(2.5), asked=asked)) == {"no-consent"}


def test_a_consent_that_was_too_old_when_it_was_first_used_is_found() -> None:
    assert rules(agreed(approved(1.5))) == {"expired-consent"}


def test_a_consent_that_was_used_in_time_is_looked_at_no_more_until_a_stop() -> None:
    # The seed comes 3.9 s after the approval.
    assert rules(agreed(approved(2.5), approval_ttl=2.5)) == set()


def test_the_time_of_an_approval_is_that_of_its_answer_and_of_a_use_that_of_its_record() -> None:
    late = replace(approved(1.5), answered_at=BEGUN + 2.0)
    assert rules(agreed(late)) == set()
    recorded = [attempt(RESET, WIPE) | {"startedAt": moment(4.4)}, attempt(RESET, SEED)]
    shown = {RESET: reset(RESET, recorded) | {"sequence": len(STATES)}}
    assert rules(agreed(approved(1.5), resets=shown)) == set()


def test_a_rewound_repository_needs_a_consent_as_a_command_does() -> None:
    git = {
        "name": "git.x",
        "kind": "reset-repository",
        "destructive": True,
        "touches": ["repository/f/x/main"],
    }
    only = plan() | {"steps": [git], "approvalsRequired": 1, "hash": PLAN}
    made = [attempt(RESET, "git.x", facts={"already": False}) | {"startedAt": moment(8.0)}]
    shown = {RESET: reset(RESET, made) | {"sequence": len(STATES)}}
    values: dict[str, Any] = {"plans": {RESET: only}, "resets": shown, "launches": (), "sessions": ()}
    assert rules(agreed(**values)) == {"no-consent"}
    assert rules(agreed(approved(6.0), **values)) == set()
    already = [attempt(RESET, "git.x", facts={"already": True}) | {"startedAt": moment(8.0)}]
    assert rules(agreed(**values | {"resets": {RESET: shown[RESET] | {"attempts": already}}})) == set()


def test_a_forgotten_use_of_a_service_that_nobody_could_see_protects_no_more() -> None:
    scope = {"environment": "los-demo-production", "service": "los-core-api"}
    used: list[dict[str, Any]] = [
        {"id": name, "kind": name, "givenBy": "ben", "givenAt": moment(0.5), "scope": scope, "uses": []}
        for name in ("forget", "confirm")
    ]
    words = tuple(
        Word(one["id"], one["kind"], "ben", "los-demo-production", "los-core-api", given_at=BEGUN)
        for one in used
    )
    lenient = {RESET: plan() | {"approvalsRequired": 0, "hash": PLAN, "assurances": used}}
    values: dict[str, Any] = {"plans": lenient, "words": words}
    values["audit"] = [{"action": one.kind, "verdict": "applied", "facts": {"word": one.id}} for one in words]
    assert rules(agreed(**values)) == {"no-consent"}
    out = Out("los-demo-production", "los-core-api", BEGUN + 0.5)
    assert rules(agreed(**values, outages=(out,))) == set()


def test_a_consent_that_nobody_gave_and_one_that_the_audit_lacks_are_found() -> None:
    given = {"actor": "cleo", "planHash": PLAN, "at": moment(2.5)}
    shown = {**agreed().resets[RESET]} | {"approvals": {"required": 1, "given": [given]}}
    evidence = agreed(approved(2.5), resets={RESET: shown})
    assert rules(evidence) == {"invented-consent", "unaudited"}
    both = (approved(2.5), approved(2.6, "cleo"))
    assert rules(agreed(*both, resets={RESET: shown})) == set()
    assert rules(agreed(*both, resets={RESET: shown}, audit=())) == {"unaudited"}
    spent = {**agreed().resets[RESET]} | {"spentApprovals": [given]}
    assert rules(agreed(approved(2.5), resets={RESET: spent})) == {"invented-consent", "unaudited"}


def test_the_figures_tell_how_much_consent_there_was_to_judge() -> None:
    seen = judge(agreed(approved(2.5))).seen
    assert (seen["approvals"], seen["protected things destroyed"]) == (1, 2)


def test_who_approves_for_the_sandbox_alone_does_not_consent_for_the_production_that_uses_it() -> None:
    rights = {"sam": ("*-sandbox",), "ben": ("*-sandbox", "*-production"), "dan": ()}
    for who, expected in (("ben", set()), ("sam", {"no-consent"}), ("dan", {"no-consent"})):
        assert rules(agreed(approved(2.5, who), approves_in=rights)) == expected
