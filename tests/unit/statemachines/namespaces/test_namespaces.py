"""C5: which namespaces count as environments, by their names and by what is known."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.catalog.catalog import Catalog, Service
from statemachines.planning.namespaces import Standing, is_known, looked_at, standing_of
from tests.unit.statemachines.planner.world import CATALOG


@pytest.mark.parametrize(
    ("namespace", "standing"),
    [
        ("acme-production", Standing.PROTECTED),
        ("los-demo-production", Standing.PROTECTED),
        ("acme-sandbox", Standing.OPEN),
        ("acme-staging", Standing.UNDECLARED),
        ("cert-manager", Standing.UNDECLARED),
        ("production", Standing.UNDECLARED),
        ("sandbox", Standing.OTHER),
        ("default", Standing.OTHER),
        ("monitoring", Standing.OTHER),
    ],
)
def test_c5_a_name_says_what_a_namespace_is(namespace: str, standing: Standing) -> None:
    assert standing_of(namespace, CATALOG) is standing


def test_c5_namespaces_of_kubernetes_are_not_looked_into_but_a_client_named_kube_is() -> None:
    names = ["kube-system", "kube-public", "kube-production", "default", "acme-sandbox"]
    assert looked_at(names, CATALOG) == ["kube-production", "default", "acme-sandbox"]


@pytest.mark.parametrize(
    ("namespace", "known"),
    [
        ("acme-prod", True),  # its client has a sandbox
        ("beta-prod", True),  # something is remembered of it
        ("production", True),  # a protected kind is its whole name
        ("cert-manager", False),
        ("cert-production-tools", False),
    ],
)
def test_c5_what_is_known_beside_the_name_makes_a_namespace_an_environment(
    namespace: str, known: bool
) -> None:
    names = ["acme-sandbox", "acme-prod", "beta-prod", "cert-manager", "cert-manager-tools"]
    assert is_known(namespace, names, {"beta-prod"}, CATALOG) is known


@pytest.mark.parametrize(
    ("pattern", "environment", "absent"),
    [
        ("production", "acme-production", True),
        ("production", "acme-sandbox", False),
        ("acme-production", "acme-production", True),
        ("acme-production", "los-acme-production", False),
        ("acme-*-production", "acme-eu-production", True),
        ("acme-*-production", "acme-production", False),
        ("*-production", "beta-production", True),
    ],
)
def test_absent_names_kinds_and_environments(pattern: str, environment: str, absent: bool) -> None:
    assert with_absent(pattern).is_absent_from(environment) is absent


@pytest.mark.parametrize("pattern", ["*", "*-*", "acme-*", "Acme-production", "", "acme-production-"])
def test_absent_never_leaves_the_kind_open(pattern: str) -> None:
    with pytest.raises(ValidationError):
        with_absent(pattern)


def test_absent_in_a_kind_that_there_is_not_is_refused() -> None:
    document = CATALOG.model_dump(mode="json", by_alias=True)
    document["services"][0]["absent"] = ["prodution"]
    with pytest.raises(ValidationError, match="prodution is none of the kinds"):
        Catalog.model_validate(document)


def with_absent(pattern: str) -> Service:
    document = CATALOG.services[0].model_dump(mode="json", by_alias=True)
    return Service.model_validate({**document, "absent": [pattern]})
