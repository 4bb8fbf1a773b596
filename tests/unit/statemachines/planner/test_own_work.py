"""Whatever a reset's own work changes of the facts, the plan that people agreed to stays the plan."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.facts import Facts, Loss, Unreadable
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.repositories import RootCommit
from schemas.requests import Mode
from schemas.resets import Channel, Step, StepState
from schemas.wire import ServiceName, StepName
from statemachines.planning.own_work import as_agreed
from statemachines.planning.planner import plan
from statemachines.refusals import Refusal
from tests.unit.statemachines.planner.world import CATALOG, LOADED, facts, planned, request

EXTENSION = Loss(name="extension citext", for_good=False)
GRANTS = Loss(name="grants to PUBLIC", for_good=True)
WIPE = request(mode=Mode.WIPE)


def with_losses(known: Facts, *losses: Loss) -> Facts:
    databases = tuple(one.model_copy(update={"losses": losses}) for one in known.databases)
    return known.model_copy(update={"databases": databases})


def progress(agreed: Plan, state: StepState, attempts: int) -> dict[StepName, Step]:
    return {
        one.name: Step(name=one.name, index=index, state=state, attempts=attempts)
        for index, one in enumerate(agreed.steps)
    }


def again(known: Facts, agreed: Plan, state: StepState, attempts: int = 1) -> Plan | Refusal:
    seen = as_agreed(known, agreed, progress(agreed, state, attempts))
    return plan(WIPE, Channel.HTTP, CATALOG, LOADED.id, seen)


def emptied(known: Facts) -> Facts:
    databases = tuple(one.model_copy(update={"tables": 0, "size_bytes": 0}) for one in known.databases)
    return known.model_copy(update={"databases": databases})


def rewound(known: Facts) -> Facts:
    repositories = tuple(
        one.model_copy(update={"head": one.roots[0].sha, "warnings": ("a tag",)})
        for one in known.repositories
    )
    return known.model_copy(update={"repositories": repositories})


def unread(known: Facts) -> Facts:
    gaps = tuple(
        Unreadable(
            environment=known.environment,
            service=ServiceName(one.service),
            subject=f"losses of {one.database}",
            reason=Reason.DATABASE_UNREACHABLE,
            detail="the schema is gone",
            protected=False,
            temporary=True,
        )
        for one in known.databases
    )
    return known.model_copy(update={"unreadable": gaps})


OWN: dict[str, Callable[[Facts], Facts]] = {
    "what was to be lost is lost": with_losses,
    "a migration made something else": lambda known: with_losses(known, GRANTS),
    "what was to be lost can't be read": unread,
    "the tables are gone": emptied,
    "the branch was rewound": rewound,
}


@pytest.mark.parametrize("what", OWN)
@pytest.mark.parametrize("state", [StepState.SUCCEEDED, StepState.SKIPPED])
def test_d1_what_the_resets_own_work_changed_changes_no_plan(what: str, state: StepState) -> None:
    before = with_losses(facts(), EXTENSION)
    agreed = planned(WIPE, before)
    assert any(one.losses for step in agreed.steps for one in step.wipes)
    made = again(OWN[what](before), agreed, state)
    assert isinstance(made, Plan), made
    assert made.hash == agreed.hash


def with_roots(known: Facts, *letters: str) -> Facts:
    roots = tuple(RootCommit(sha=letter * 40) for letter in letters)
    return known.model_copy(
        update={"repositories": tuple(one.model_copy(update={"roots": roots}) for one in known.repositories)}
    )


@pytest.mark.parametrize(
    ("there", "state", "same"),
    [
        ("b", StepState.SUCCEEDED, True),
        ("z", StepState.SUCCEEDED, True),
        ("b", StepState.FAILED, True),
        ("bz", StepState.FAILED, False),
        ("b", StepState.PENDING, False),
    ],
)
def test_roots_that_the_resets_own_rewinding_took_away_speak_not_against_its_plan(
    there: str, state: StepState, same: bool
) -> None:
    expected = CATALOG.repositories[0].model_copy(update={"expected_root": "b" * 40})
    catalog = CATALOG.model_copy(update={"repositories": (expected,)})
    agreed = plan(WIPE, Channel.HTTP, catalog, LOADED.id, with_roots(facts(), "b", "c"))
    assert isinstance(agreed, Plan)
    attempts = 0 if state is StepState.PENDING else 1
    seen = as_agreed(with_roots(facts(), *there), agreed, progress(agreed, state, attempts))
    made = plan(WIPE, Channel.HTTP, catalog, LOADED.id, seen)
    assert (isinstance(made, Plan) and made.hash == agreed.hash) is same


def test_d1_what_others_changed_changes_the_plan() -> None:
    before = with_losses(facts(), EXTENSION)
    agreed = planned(WIPE, before)
    never_begun = again(with_losses(facts()), agreed, StepState.PENDING, attempts=0)
    assert isinstance(never_begun, Plan)
    assert never_begun.hash != agreed.hash
    more = again(with_losses(facts(), EXTENSION, GRANTS), agreed, StepState.FAILED)
    assert isinstance(more, Refusal)
    images = tuple(one.model_copy(update={"image_digest": "sha256:new"}) for one in before.services)
    other = again(before.model_copy(update={"services": images}), agreed, StepState.SUCCEEDED)
    assert isinstance(other, Plan)
    assert other.hash != agreed.hash
    keys = tuple(one.model_copy(update={"key": f"{one.key}2"}) for one in before.databases)
    users = {one.key: (before.environment,) for one in keys} | before.users
    elsewhere = before.model_copy(update={"databases": keys, "users": users})
    moved = again(with_losses(elsewhere), agreed, StepState.SUCCEEDED)
    assert isinstance(moved, Plan)
    assert moved.hash != agreed.hash
