"""The judge finds what runs again although its change was accepted, and changes that nobody else accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.torture.judge.evidence import Acted, Asked, Evidence
from tests.unit.torture.cases import (
    BEGUN,
    CORE,
    RESET,
    SEED,
    WIPE,
    attempt,
    launch,
    moment,
    plan,
    reset,
    rules,
    told,
    well,
)

STATES = ("planning", "queued", "quiescing", "backing-up", "migrating-core", "seeding", "failed")
ON = (
    "queued",
    "quiescing",
    "backing-up",
    "migrating-core",
    "seeding",
    "resetting-git",
    "verifying",
    "releasing",
)
ACCEPTED = Acted(BEGUN + 9.0, RESET, "accept", actor="fay", answered_at=BEGUN + 9.1)
LINE = {
    "action": "accept",
    "verdict": "applied",
    "actor": "fay",
    "resetId": RESET,
    "at": moment(9.1),
    "facts": {},
}


def accepted(**more: Any) -> Evidence:  # noqa: ANN401 - any field of the evidence
    """A wipe whose seed left a table empty: it failed at second 8, fay accepted that at 9, and it was done."""
    states = [*STATES, *ON, "done"]
    events = [
        told(RESET, number, state, number + 1.0 + 2 * (number > len(STATES)), **_step(state))
        for number, state in enumerate(states, start=1)
    ]
    made = [attempt(RESET, WIPE), attempt(RESET, SEED, kind="failed")]
    values: dict[str, Any] = {
        "asked": (Asked(f"tag of {RESET}", "qa-sandbox", reset_id=RESET, by="ana"),),
        "resets": {RESET: {**reset(RESET, made), "sequence": len(states)}},
        "told": tuple(events),
        "acted": (ACCEPTED,),
        "audit": (LINE,),
    }
    return replace(well(), **values | more)


def _step(state: str) -> dict[str, Any]:
    return {"step": SEED} if state == "failed" else {}


def test_a_change_that_was_accepted_is_as_it_has_to_be() -> None:
    assert rules(accepted()) == set()


def test_a_step_that_runs_again_after_its_change_was_accepted_is_found_unless_somebody_asked_for_it() -> None:
    evidence = accepted()
    again = launch(3, f"{RESET}/{SEED}/2", 12.0)
    made = [attempt(RESET, WIPE), attempt(RESET, SEED, kind="failed"), attempt(RESET, SEED, 2)]
    dumped = (*evidence.dumps, replace(evidence.dumps[0], taken_at=BEGUN + 11))
    evidence = replace(
        evidence,
        launches=(*evidence.launches, again),
        resets={RESET: {**evidence.resets[RESET], "attempts": made}},
        dumps=dumped,
    )
    assert rules(evidence) == {"again-after-success"}
    resumed = (*evidence.acted, Acted(BEGUN + 9.5, RESET, "resume"))
    assert rules(replace(evidence, acted=resumed)) == set()
    assert rules(replace(evidence, audit=())) == set()


def test_a_change_that_nobody_accepted_is_found() -> None:
    assert rules(accepted(acted=())) == {"own-acceptance"}


def test_who_asked_for_a_protected_reset_does_not_accept_what_it_left() -> None:
    asked = (Asked(f"tag of {RESET}", "qa-sandbox", reset_id=RESET, by="Fay"),)
    assert rules(accepted(asked=asked)) == set()
    agreed = Acted(BEGUN + 3.0, RESET, "approve", actor="ben")
    shown = {RESET: plan() | {"approvalsRequired": 1}}
    assert rules(accepted(asked=asked, plans=shown, acted=(ACCEPTED, agreed))) == {"own-acceptance"}
    protected = {CORE: frozenset({("los-demo-production", None)})}
    assert rules(accepted(asked=asked, protected=protected, acted=(ACCEPTED, agreed))) == {"own-acceptance"}


def test_d4_a_protected_reset_of_an_event_that_went_on_by_one_persons_accept_is_found() -> None:
    asked = (Asked(f"tag of {RESET}", "qa-sandbox"),)
    shown = {RESET: plan() | {"approvalsRequired": 2}}
    agreed = tuple(Acted(BEGUN + 3.0, RESET, "approve", actor=who) for who in ("ben", "cleo"))

    def judged(*acted: Acted, audit: tuple[Any, ...] = (LINE,), **more: Any) -> set[str]:  # noqa: ANN401 - as above
        return rules(
            accepted(**{"asked": asked, "plans": shown, "acted": (*agreed, *acted), "audit": audit} | more)
        )

    assert judged(ACCEPTED) == {"lone-acceptance"}
    others = LINE | {"actor": "ben", "at": moment(8.6)}
    same = replace(ACCEPTED, actor=" Fay", at=BEGUN + 8.5, answered_at=BEGUN + 8.6)
    assert judged(same, ACCEPTED, audit=(LINE, LINE | {"actor": " Fay"})) == {"lone-acceptance"}
    ben = replace(same, actor="ben")
    assert judged(ben, ACCEPTED, audit=(others, LINE)) == set()
    early = replace(ben, at=BEGUN + 6.0, answered_at=BEGUN + 6.1)
    assert judged(early, ACCEPTED, audit=(others, LINE)) == {"lone-acceptance"}
    # Whoever resumes needs nobody beside him.
    resumed = LINE | {"action": "resume"}
    assert judged(ACCEPTED, Acted(BEGUN + 9.0, RESET, "resume"), audit=(LINE, resumed)) == set()
    # Of who asked with a token another person is the second.
    known = (Asked(f"tag of {RESET}", "qa-sandbox", reset_id=RESET, by="ana"),)
    assert judged(ACCEPTED, asked=known) == set()
