"""In which environments somebody has to be an approver, for their consent to a plan to count."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from schemas.catalog.elsewhere import DatabaseElsewhere, Elsewhere
from schemas.facts import Facts
from schemas.plan import Plan
from schemas.protection import RememberedUse
from schemas.resets import Channel
from schemas.wire import ServiceName
from statemachines.planning.planner import plan
from statemachines.planning.protection import UNNAMED
from tests.unit.statemachines.planner.world import CATALOG, facts, key_of, planned, request, used_by

UI = key_of("ui-builder")
ASKED = request("acme-sandbox", services=["ui-builder-api"], git=False)
KNOWN = facts("acme-sandbox")
PRODUCTION = "acme-production"


def remembered(known: Facts, *environments: str) -> Facts:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    uses = tuple(
        RememberedUse(
            environment=name,
            service=ServiceName("ui-builder-api"),
            database="ui-builder",
            key=UI,
            first_seen_at=at,
            last_seen_at=at,
        )
        for name in environments
    )
    return known.model_copy(update={"remembered": uses, "remembered_protected": (UI,)})


def marked(known: Facts, *environments: str) -> Facts:
    return known.model_copy(update={"markers": {UI: environments}})


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (KNOWN, ()),
        (used_by(KNOWN, UI, PRODUCTION), ("acme-production", "acme-sandbox")),
        (used_by(KNOWN, key_of("workflow-builder"), PRODUCTION), ()),
        (used_by(KNOWN, UI, "other-sandbox"), ()),
        (
            used_by(KNOWN, UI, PRODUCTION, "big-production", "other-sandbox"),
            ("acme-production", "acme-sandbox", "big-production"),
        ),
        (used_by(KNOWN, UI, "acme-unknownkind"), ("acme-sandbox", "acme-unknownkind")),
        (remembered(KNOWN, PRODUCTION), ("acme-production", "acme-sandbox")),
        (remembered(KNOWN), (UNNAMED, "acme-sandbox")),
        (marked(KNOWN, "acme-sandbox", "big-production"), ("acme-sandbox", "big-production")),
        (
            marked(
                remembered(used_by(KNOWN, UI, "a-production"), "b-production"), "c-production", "acme-sandbox"
            ),
            ("a-production", "acme-sandbox", "b-production", "c-production"),
        ),
    ],
)
def test_d1_each_environment_by_which_something_touched_is_protected_is_asked(
    known: Facts, expected: tuple[str, ...]
) -> None:
    made = planned(ASKED, known)
    assert made.approvers_in == expected
    assert bool(made.approvals_required) is bool(expected)


def test_d1_an_environment_of_another_cluster_is_asked_by_its_name() -> None:
    _, system, name = UI.split("/")
    there = Elsewhere(
        environment="eu-production",
        cluster="eu",
        databases=(DatabaseElsewhere(system_identifier=system, name=name),),
    )
    catalog = CATALOG.model_copy(update={"elsewhere": (there,)})
    made = plan(ASKED, Channel.HTTP, catalog, "x", KNOWN)
    assert isinstance(made, Plan)
    assert made.approvers_in == ("acme-sandbox", "eu-production")


def test_d1_a_production_of_its_own_asks_its_own_approvers() -> None:
    asked = request(PRODUCTION, services=["ui-builder-api"], git=False)
    assert planned(asked, facts(PRODUCTION)).approvers_in == (PRODUCTION,)


def test_d1_people_agree_to_who_is_asked() -> None:
    one, two = used_by(KNOWN, UI, PRODUCTION), remembered(used_by(KNOWN, UI, PRODUCTION), "b-production")
    assert planned(ASKED, one).hash != planned(ASKED, two).hash
