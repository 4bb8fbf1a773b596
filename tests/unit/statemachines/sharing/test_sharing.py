"""C1: what people are told of unknown sharing is what the planner refuses for."""

from __future__ import annotations

import pytest

from schemas.api import FindingLevel
from schemas.facts import Unreadable
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import Channel
from schemas.wire import ServiceName
from statemachines.planning.namespaces import protects
from statemachines.planning.planner import plan
from statemachines.planning.sharing import findings
from statemachines.refusals import Refusal
from tests.unit.statemachines.planner.world import CATALOG, LOADED, facts, request

PRODUCTION = "acme-production"


def gap(subject: str, service: str | None = "los-core-api", **changes: object) -> Unreadable:
    fields = {
        "environment": PRODUCTION,
        "service": ServiceName(service) if service else None,
        "subject": subject,
        "reason": Reason.POD_NOT_FOUND,
        "detail": "why",
        "protected": True,
    }
    return Unreadable.model_validate(fields | changes)


@pytest.mark.parametrize(
    "unknown",
    [
        gap("pods"),
        gap("pods", temporary=True),
        gap("pods", environment="tools"),
        gap("database core", reason=Reason.DATABASE_UNREACHABLE),
        gap("pod los-core-api-1"),
        gap("workloads", reason=Reason.SERVICE_UNSEEN),
        gap("workload Deployment old", reason=Reason.SERVICE_UNSEEN),
        gap("workloads", service=None, reason=Reason.KUBERNETES_FORBIDDEN),
        gap("pods", environment="beta-sandbox", protected=False),
        gap("workloads", service=None, environment="cert-manager", protected=False),
        gap("migrations core"),
        gap("losses of core"),
        gap("configured seed of wipe.los-core-api"),
        gap("repository acme-workflows", service=None),
    ],
    ids=lambda one: f"{one.subject} {one.environment} {one.reason.value} {one.temporary}",
)
def test_c1_people_are_told_that_sharing_is_unknown_exactly_where_a_plan_is_refused_for_it(
    unknown: Unreadable,
) -> None:
    known = facts(unreadable=(unknown,))
    answer = plan(request(git=False), Channel.HTTP, CATALOG, LOADED.id, known)
    refused = isinstance(answer, Refusal) and Reason.SHARING_UNKNOWN in {one.reason for one in answer.reasons}
    told = [
        one
        for one in findings(known, ["qa-sandbox", PRODUCTION], CATALOG, beside="qa-sandbox")
        if one.level in {FindingLevel.FAILED, FindingLevel.UNKNOWN}
    ]
    assert bool(told) is refused is not isinstance(answer, Plan)
    assert all(one.hint for one in told)
    assert [one.level is FindingLevel.UNKNOWN for one in told] == [unknown.temporary] * len(told)


@pytest.mark.parametrize(
    ("namespace", "protected"),
    [
        ("acme-production", True),
        ("acme-prod", True),
        ("production", True),
        ("tools", True),
        ("default", True),
        ("acme-sandbox", False),
        ("sandbox", False),
    ],
)
def test_c1_what_a_service_uses_that_is_seen_is_protected_unless_its_kind_is_declared_as_open(
    namespace: str, protected: bool
) -> None:
    assert protects(namespace, CATALOG) is protected
