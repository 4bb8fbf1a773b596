"""What the catalog says of environments in other clusters counts as in use."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.catalog.catalog import Catalog
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.requests import Option
from schemas.resets import Channel
from statemachines.planning.planner import plan
from statemachines.refusals import Refusal
from tests.unit.statemachines.planner.world import CATALOG, LOADED, facts, key_of, repository_key, request

CORE = {"systemIdentifier": "7001", "name": "los-sandbox"}
WORKFLOWS = {"owner": "Fuse", "name": "QA-workflows"}


def catalog(*entries: dict[str, object]) -> Catalog:
    document = CATALOG.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Catalog.model_validate(document | {"elsewhere": list(entries)})


def made(*entries: dict[str, object], **asked: object) -> Plan:
    answer = plan(request(**asked), Channel.HTTP, catalog(*entries), LOADED.id, facts())
    assert isinstance(answer, Plan), answer
    return answer


def test_a_database_that_a_production_of_another_cluster_uses_is_protected_and_shown_as_such() -> None:
    shown = made({"environment": "qa-production", "cluster": "eu-2", "databases": [CORE]})
    (core,) = [resource for resource in shown.resources if resource.protected]
    assert core.key == key_of("los-sandbox")
    assert core.elsewhere == ("qa-production in eu-2",)
    assert core.users == ("qa-sandbox",)
    assert core.protected_because == "qa-production in eu-2 uses it, too"
    assert shown.approvals_required == 1
    assert any("resetd can't look there" in warning for warning in shown.warnings)
    assert shown.hash != made().hash


def test_a_marker_that_names_a_production_protects_the_database() -> None:
    key = key_of("los-sandbox")
    seen = facts().model_copy(update={"markers": {key: ("qa-production", "qa-sandbox")}})
    shown = plan(request(), Channel.HTTP, CATALOG, LOADED.id, seen)
    assert isinstance(shown, Plan), shown
    (core,) = [resource for resource in shown.resources if resource.protected]
    assert core.key == key
    assert core.marked == ("qa-production", "qa-sandbox")
    assert core.protected_because == "its marker says that it is qa-production's"
    assert shown.approvals_required == 1


def test_a_marker_of_a_copy_is_told() -> None:
    first, *others = facts().databases
    copied = first.model_copy(update={"copied_markers": ("qa-production",)})
    seen = facts().model_copy(update={"databases": (copied, *others)})
    shown = plan(request(), Channel.HTTP, CATALOG, LOADED.id, seen)
    assert isinstance(shown, Plan), shown
    assert not any(resource.protected for resource in shown.resources)
    assert any("it is a copy" in warning for warning in shown.warnings)


@pytest.mark.parametrize("branch", [None, "main"])
def test_so_is_a_repository_in_any_spelling(branch: str | None) -> None:
    shown = made({"environment": "qa-production", "repositories": [{**WORKFLOWS, "branch": branch}]})
    assert [resource.key for resource in shown.resources if resource.protected] == [repository_key("qa")]


def test_another_branch_or_another_server_is_another_resource() -> None:
    shown = made(
        {
            "environment": "qa-production",
            "databases": [CORE | {"systemIdentifier": "7002"}],
            "repositories": [WORKFLOWS | {"branch": "release"}],
        }
    )
    assert not any(resource.protected or resource.elsewhere for resource in shown.resources)


def test_a_sandbox_elsewhere_is_shown_and_protects_nothing() -> None:
    shown = made({"environment": "other-sandbox", "databases": [CORE]})
    assert not any(resource.protected for resource in shown.resources)
    assert [resource.elsewhere for resource in shown.resources if resource.elsewhere] == [
        ("other-sandbox in another cluster",)
    ]


def test_mock_data_reaches_no_production_elsewhere() -> None:
    where = catalog({"environment": "qa-production", "databases": [CORE]})
    answer = plan(request(options=[Option.MOCK]), Channel.HTTP, where, LOADED.id, facts())
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.MOCK_IN_PRODUCTION


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"environment": "qa-production"}, "needs databases or repositories"),
        ({"environment": "qa-staging", "databases": [CORE]}, "of no kind of this catalog"),
        ({"environment": "production", "databases": [CORE]}, "String should match"),
        ({"environment": "qa-production", "databases": [{"name": "los-sandbox"}]}, "systemIdentifier"),
        (
            {"environment": "qa-production", "databases": [CORE | {"systemIdentifier": "db"}]},
            "String should match",
        ),
        (
            {"environment": "qa-production", "repositories": [{"owner": "fuse/x", "name": "y"}]},
            "String should match",
        ),
    ],
)
def test_what_says_nothing_is_refused(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        catalog(entry)


def test_an_environment_of_one_cluster_is_listed_once() -> None:
    entry: dict[str, object] = {"environment": "qa-production", "databases": [CORE]}
    with pytest.raises(ValidationError, match="listed twice"):
        catalog(entry, entry)
    catalog(entry, entry | {"cluster": "eu-2"})
