from __future__ import annotations

import pytest

from schemas.catalog.steps import VerifyEntry
from schemas.facts import Facts, Unreadable
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.repositories import RepositoryRefusal
from schemas.wire import ServiceName
from statemachines.planning.planner import plan
from tests.unit.statemachines.planner.world import (
    CATALOG,
    LOADED,
    Channel,
    Mode,
    Option,
    answer,
    facts,
    key_of,
    planned,
    refused,
    repository_key,
    request,
    used_by,
)


def unreadable(environment: str, service: str | None, subject: str, **changes: object) -> Unreadable:
    fields: dict[str, object] = {
        "environment": environment,
        "service": service,
        "subject": subject,
        "reason": Reason.POD_NOT_READY,
        "detail": "no pod is ready",
        "protected": environment.endswith("-production"),
        "temporary": True,
    }
    return Unreadable.model_validate(fields | changes)


def without_service(known: Facts, name: str, *why: Unreadable) -> Facts:
    return known.model_copy(
        update={
            "services": tuple(fact for fact in known.services if fact.service != name),
            "databases": tuple(fact for fact in known.databases if fact.service != name),
            "unreadable": why,
        }
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"environment": "qa-staging"}, Reason.UNKNOWN_KIND),
        ({"services": ["rm -rf /"]}, Reason.UNKNOWN_SERVICE),
        ({"service_modes": {"nobody": Mode.WIPE}}, Reason.UNKNOWN_SERVICE),
        (
            {"services": ["ui-builder-api"], "service_modes": {"los-core-api": Mode.WIPE}},
            Reason.OPTION_WITHOUT_SERVICE,
        ),
        ({"services": ["ui-builder-api"], "options": [Option.MOCK]}, Reason.OPTION_WITHOUT_SERVICE),
        ({"services": ["ui-builder-api"], "integrations": ["plaid"]}, Reason.INTEGRATIONS_WITHOUT_SERVICE),
        ({"mode": Mode.WIPE, "options": [Option.KEEP_USER_DATA]}, Reason.OPTION_CONTRADICTS_MODE),
        ({"services": ["ui-builder-api"], "core": True}, Reason.CORE_WITHOUT_SERVICE),
        (
            {"services": ["data-builder-api"], "mode": Mode.WIPE, "core": True},
            Reason.CORE_WIPE_WITHOUT_LOS_CORE,
        ),
        ({"environment": "qa-production", "options": [Option.MOCK]}, Reason.MOCK_IN_PRODUCTION),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused_before_the_world_is_looked_at(
    fields: dict[str, object], reason: Reason
) -> None:
    asked = request(**({"environment": "qa-sandbox"} | fields))
    refusal = refused(asked, Facts(environment=asked.environment, exists=False))
    assert refusal.reason is reason
    assert refusal.by_rule
    assert not refusal.temporary
    assert refused(asked) == refusal


def test_core_false_says_no_more_than_leaving_it_out() -> None:
    assert planned(request(core=False)).steps == planned(request()).steps


def test_a_namespace_that_is_not_there_is_refused_and_nothing_else_is_said() -> None:
    refusal = refused(known=Facts(environment="qa-sandbox", exists=False))
    assert [found.reason for found in refusal.reasons] == [Reason.UNKNOWN_ENVIRONMENT]


def test_a_service_without_a_pod_is_missing() -> None:
    refusal = refused(known=without_service(facts(), "workflow-api"))
    assert refusal.reason is Reason.SERVICE_MISSING
    assert not refusal.by_rule
    assert not refusal.temporary


def test_a_service_that_nobody_asked_to_reset_may_be_missing() -> None:
    known = without_service(facts(), "workflow-api")
    assert isinstance(answer(request(services=["los-core-api"]), known), Plan)


def test_a_pod_that_is_not_ready_yet_is_waited_for() -> None:
    why = unreadable("qa-sandbox", "workflow-api", "pods")
    refusal = refused(known=without_service(facts(), "workflow-api", why))
    assert refusal.reason is Reason.POD_NOT_READY
    assert refusal.temporary


def test_a_database_that_can_not_be_identified_is_not_reset() -> None:
    known = facts()
    cut = known.model_copy(
        update={
            "databases": tuple(
                database for database in known.databases if database.database != "integrations"
            )
        }
    )
    assert refused(known=cut).reason is Reason.DATABASE_UNIDENTIFIED
    why = unreadable(
        "qa-sandbox", "los-integrations", "database integrations", reason=Reason.DATABASE_UNREACHABLE
    )
    refusal = refused(known=cut.model_copy(update={"unreadable": (why,)}))
    assert refusal.reason is Reason.DATABASE_UNREACHABLE
    assert refusal.temporary


def test_nor_is_one_that_only_a_verification_reads() -> None:
    asking = VerifyEntry(argv=("npx", "prisma", "migrate", "status"))
    services = tuple(
        service.model_copy(update={"verify": (asking,)}) if service.name == "data-builder-api" else service
        for service in CATALOG.services
    )
    catalog = CATALOG.model_copy(update={"services": services})
    known = facts()
    cut = known.model_copy(
        update={"databases": tuple(database for database in known.databases if database.database != "core")}
    )
    asked = request(services=["data-builder-api"], mode=Mode.SEED, git=False)
    made = plan(asked, Channel.HTTP, catalog, LOADED.id, cut)
    assert not isinstance(made, Plan)
    assert made.reason is Reason.DATABASE_UNIDENTIFIED


def test_core_has_to_be_one_database_for_both_services() -> None:
    known = facts()
    split = known.model_copy(
        update={
            "databases": tuple(
                fact.model_copy(update={"key": key_of("other")})
                if (fact.service, fact.database) == ("los-core-api", "core")
                else fact
                for fact in known.databases
            ),
            "users": {**known.users, key_of("other"): ("qa-sandbox",)},
        }
    )
    assert refused(known=split).reason is Reason.DATABASE_MISMATCH
    assert isinstance(answer(request(mode=Mode.SEED), split), Plan)


def test_f5_what_the_hub_would_refuse_is_refused_before_anything_is_destroyed() -> None:
    known = facts()
    because = RepositoryRefusal(reason=Reason.REPOSITORY_ARCHIVED, detail="the repository is archived")
    archived = tuple(fact.model_copy(update={"refusals": (because,)}) for fact in known.repositories)
    world = known.model_copy(update={"repositories": archived})
    refusal = refused(request(), world)
    assert refusal.reason is Reason.REPOSITORY_ARCHIVED
    assert "archived" in refusal.detail
    assert isinstance(answer(request(git=False), world), Plan)


def test_a_repository_that_could_not_be_read_is_not_rewound() -> None:
    blind = facts().model_copy(update={"repositories": ()})
    assert refused(known=blind).reason is Reason.REPOSITORY_UNIDENTIFIED
    assert isinstance(answer(request(git=False), blind), Plan)


def test_another_root_commit_than_the_expected_one_is_refused() -> None:
    expected = CATALOG.repositories[0].model_copy(update={"expected_root": "c" * 40})
    catalog = CATALOG.model_copy(update={"repositories": (expected,)})
    made = plan(request(), Channel.HTTP, catalog, LOADED.id, facts())
    assert not isinstance(made, Plan)
    assert made.reason is Reason.REPOSITORY_UNIDENTIFIED


def test_an_unreadable_production_makes_every_sharing_answer_unknown() -> None:
    why = unreadable("acme-production", "los-core-api", "database core")
    refusal = refused(known=facts().model_copy(update={"unreadable": (why,)}))
    assert refusal.reason is Reason.SHARING_UNKNOWN
    assert refusal.temporary
    assert refusal.by_rule


def test_an_unreadable_sandbox_of_somebody_else_is_none_of_our_business() -> None:
    why = unreadable("acme-sandbox", "los-core-api", "database core")
    assert isinstance(answer(known=facts().model_copy(update={"unreadable": (why,)})), Plan)


def test_a_resource_whose_users_nobody_counted_is_not_reset() -> None:
    known = facts()
    users = {key: names for key, names in known.users.items() if key != key_of("integrations")}
    refusal = refused(known=known.model_copy(update={"users": users}))
    assert refusal.reason is Reason.SHARING_UNKNOWN
    assert not refusal.temporary


def test_mock_data_never_reaches_a_database_that_a_production_uses_too() -> None:
    known = used_by(facts(), key_of("los-sandbox"), "qa-production")
    asked = request(options=[Option.MOCK])
    assert refused(asked, known).reason is Reason.MOCK_IN_PRODUCTION
    assert isinstance(answer(asked, used_by(facts(), key_of("integrations"), "qa-production")), Plan)


def test_a_sandbox_that_shares_nothing_needs_nobodys_consent() -> None:
    for channel in Channel:
        made = planned(channel=channel)
        assert made.approvals_required == 0
        assert not any(resource.protected for resource in made.resources)


@pytest.mark.parametrize(
    ("channel", "approvers"), [(Channel.HTTP, 1), (Channel.KAFKA, 2), (Channel.PROVISIONING, 2)]
)
def test_a_production_needs_consent_and_more_of_it_where_nobody_is_known_to_have_asked(
    channel: Channel, approvers: int
) -> None:
    made = planned(request("qa-production"), facts("qa-production"), channel)
    assert made.approvals_required == approvers
    assert all(resource.protected for resource in made.resources)


@pytest.mark.parametrize("key", [key_of("workflow-builder"), repository_key("qa")])
def test_a_sandbox_that_uses_what_a_production_uses_needs_its_consent(key: str) -> None:
    known = facts()
    shared = used_by(known, known.databases[0].key.__class__(key), "qa-production")
    made = planned(known=shared, channel=Channel.KAFKA)
    assert made.approvals_required == 2
    assert [resource.key for resource in made.resources if resource.protected] == [key]
    assert made.resources[-1].protected_because is None or "qa-production" in str(
        made.resources[-1].protected_because
    )


def test_a_part_that_does_not_touch_the_shared_resource_needs_no_consent() -> None:
    known = used_by(facts(), key_of("workflow-builder"), "qa-production")
    assert planned(request(services=["ui-builder-api"]), known).approvals_required == 0


def test_what_a_production_was_once_seen_to_use_stays_protected() -> None:
    known = facts().model_copy(update={"remembered_protected": (key_of("integrations"),)})
    made = planned(known=known, channel=Channel.KAFKA)
    assert made.approvals_required == 2
    assert [resource.name for resource in made.resources if resource.protected] == ["integrations"]


def test_a_user_of_a_kind_that_nobody_declared_protects_like_a_production() -> None:
    known = used_by(facts(), key_of("integrations"), "qa-staging")
    assert planned(known=known).approvals_required == 1


def test_all_reasons_are_told_at_once() -> None:
    refusal = refused(request("qa-production", services=["nobody", "los-core-api"], options=[Option.MOCK]))
    assert {found.reason for found in refusal.reasons} == {Reason.UNKNOWN_SERVICE, Reason.MOCK_IN_PRODUCTION}


def test_a_rule_is_shown_before_the_state_of_the_world() -> None:
    why = unreadable("acme-production", "los-core-api", "pods")
    refusal = refused(known=without_service(facts(), str(ServiceName("workflow-api")), why))
    assert refusal.reason is Reason.SHARING_UNKNOWN
    assert not refusal.temporary
