"""A plan's hash covers what people agree to: when, and the parts of the catalog that this plan uses; nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog.catalog import Catalog, Kind
from schemas.catalog.operations import Notification, Schedule
from schemas.plan import Plan
from schemas.requests import Mode, ResetRequested
from schemas.resets import Channel
from statemachines.planning.planner import plan
from statemachines.planning.protection import approvals_required
from tests.unit.statemachines.planner.world import CATALOG, facts, planned, request

UI = "ui-builder-api"
ASKED = request(services=[UI], git=False)
OTHERS = [service.name for service in CATALOG.services if service.name != UI]

Place = tuple[str | int, ...]


def document() -> dict[str, Any]:
    whole: dict[str, Any] = CATALOG.model_dump(mode="json", by_alias=True)
    return whole


def changed(place: Place, value: object) -> Catalog:
    """The shipped catalog with another value at a place."""
    whole = document()
    inner: Any = whole
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    return Catalog.model_validate(whole)


def hash_with(catalog: Catalog, asked: ResetRequested = ASKED) -> str:
    made = plan(asked, Channel.HTTP, catalog, "another@sha256:0", facts(asked.environment))
    assert isinstance(made, Plan)
    return made.hash


def index_of(service: str) -> int:
    return [one.name for one in CATALOG.services].index(service)


UNUSED: list[tuple[Place, object]] = [
    (("description",), "another text"),
    (("name",), "renamed"),
    (("doctor", "logLines"), 7),
    (("queue", "waiting"), 9),
    *((("services", index_of(name), "selector"), "app=another") for name in OTHERS),
    (("services", index_of(UI), "steps", "wipe", 0, "timeout"), 4321.0),
]
USED: list[tuple[Place, object]] = [
    (("retry", "attempts"), 9),
    (("services", index_of(UI), "selector"), "app=another"),
    (("services", index_of(UI), "container"), "another"),
    (("services", index_of(UI), "databases", 0, "urlVariable"), "ANOTHER_URL"),
    (("services", index_of(UI), "databases", 0, "handshake", "timeout"), 11.0),
    (("services", index_of(UI), "steps", "refresh", 0, "timeout"), 4321.0),
    (("proof",), "restored"),
]


@pytest.mark.parametrize("place", range(len(UNUSED)))
def test_d2_what_the_plan_does_not_use_of_the_catalog_voids_nothing(place: int) -> None:
    catalog = changed(*UNUSED[place])
    assert hash_with(catalog) == hash_with(CATALOG)


@pytest.mark.parametrize("place", range(len(USED)))
def test_d2_what_the_plan_uses_of_the_catalog_is_agreed_to(place: int) -> None:
    catalog = changed(*USED[place])
    assert hash_with(catalog) != hash_with(CATALOG)


def test_d2_a_webhook_or_a_schedule_that_changed_voids_nothing() -> None:
    hook = Notification(url="https://hooks.example/1", secret_file="/secret")
    nightly = Schedule(name="nightly", environment="qa-sandbox", schedule="0 2 * * *")
    catalog = CATALOG.model_copy(update={"notifications": (hook,), "schedules": (nightly,)})
    assert hash_with(catalog) == hash_with(CATALOG)


@given(st.data())
def test_d2_any_set_of_services_ignores_the_others_and_no_own(data: st.DataObject) -> None:
    chosen = data.draw(st.sets(st.sampled_from([one.name for one in CATALOG.services]), min_size=1))
    name = data.draw(st.sampled_from([one.name for one in CATALOG.services]))
    asked = request(services=sorted(chosen), git=False)
    catalog = changed(("services", index_of(name), "container"), "another")
    assert (hash_with(catalog, asked) == hash_with(CATALOG, asked)) is (name not in chosen)


def test_d2_a_repository_counts_where_it_is_reset_and_nowhere_else() -> None:
    catalog = changed(("repositories", 0, "expectedRoot"), "b" * 40)
    assert hash_with(catalog) == hash_with(CATALOG)
    with_git = request(services=[UI], git=True)
    assert hash_with(catalog, with_git) != hash_with(CATALOG, with_git)


@given(st.integers(0, 10_000))
def test_d2_people_agree_to_the_moment(hours: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    at, later = (
        planned(request(not_before=moment)),
        planned(request(not_before=moment + timedelta(seconds=1))),
    )
    assert at.not_before == moment
    assert len({planned(request()).hash, at.hash, later.hash}) == 3


@given(approvers=st.integers(0, 10), unattended=st.integers(0, 11), protected=st.booleans())
def test_d3_a_catalog_asks_at_least_two_for_who_is_not_known_and_more_than_for_who_is(
    approvers: int, unattended: int, *, protected: bool
) -> None:
    enough = unattended >= max(2, approvers + 1)
    right = (approvers >= 1 and enough) if protected else (unattended == 0 or enough)
    values = {"protected": protected, "approvers": approvers, "approversUnattended": unattended}
    if right:
        Kind.model_validate(values)
        return
    with pytest.raises(ValueError, match="approvers"):
        Kind.model_validate(values)


@given(
    approvers=st.integers(0, 10),
    unattended=st.integers(0, 11),
    channel=st.sampled_from([Channel.KAFKA, Channel.PROVISIONING]),
    protected=st.booleans(),
)
def test_d3_nobody_approves_alone_what_came_without_a_token_whatever_a_catalog_says(
    approvers: int, unattended: int, channel: Channel, *, protected: bool
) -> None:
    """Another input of the kind: a kind that is not protected, and a catalog that was loaded before."""
    kind = Kind.model_construct(protected=protected, approvers=approvers, approvers_unattended=unattended)
    catalog = CATALOG.model_copy(update={"kinds": {"sandbox": kind}})
    needed = approvals_required((), "qa-sandbox", channel, catalog)
    assert needed != 1
    assert needed == 0 or needed > approvals_required((), "qa-sandbox", Channel.HTTP, catalog)


def test_d3_the_shipped_production_needs_two_over_kafka() -> None:
    asked = request("qa-production", mode=Mode.REFRESH)
    assert planned(asked, facts("qa-production"), Channel.KAFKA).approvals_required == 2
    assert planned(asked, facts("qa-production"), Channel.HTTP).approvals_required == 1
