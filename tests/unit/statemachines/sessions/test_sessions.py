"""Sessions of no known pod are told; in a database that others may share they forbid the plan."""

from __future__ import annotations

import pytest

from schemas.catalog.catalog import Catalog
from schemas.facts import Facts, SessionFact, Unreadable
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import Channel
from statemachines.planning.planner import plan
from statemachines.refusals import Refusal
from tests.unit.statemachines.planner.world import CATALOG, LOADED, facts, key_of, request, used_by

CORE = key_of("los-sandbox")
ONLY = {"services": ["los-core-api"], "git": False}
TOLERATED = {"role": "metabase", "application": "dashboards"}


def session(**changes: object) -> SessionFact:
    fields: dict[str, object] = {
        "key": CORE,
        "role": "metabase",
        "application": "dashboards",
        "address": "10.9.9.9",
        "hidden": False,
        "of_node": False,
        "writes": False,
    }
    return SessionFact.model_validate(fields | changes)


def catalog(**changes: object) -> Catalog:
    document = CATALOG.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Catalog.model_validate(document | changes)


def answer(known: Facts, where: Catalog = CATALOG) -> Plan | Refusal:
    return plan(request(**ONLY), Channel.HTTP, where, LOADED.id, known)


def with_sessions(*sessions: SessionFact, known: Facts | None = None) -> Facts:
    return (known or facts()).model_copy(update={"sessions": sessions})


def told(known: Facts, where: Catalog = CATALOG) -> list[str]:
    made = answer(known, where)
    assert isinstance(made, Plan), made
    return [warning for warning in made.warnings if "of no known pod" in warning]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({}, "metabase with dashboards from 10.9.9.9"),
        ({"hidden": True, "address": None}, "an address that the server does not show"),
        (
            {"address": None, "application": ""},
            "metabase with no application name from the database server itself",
        ),
        ({"of_node": True}, "10.9.9.9 (a node of the cluster)"),
    ],
)
def test_a_session_in_a_database_of_this_environment_alone_is_told(
    changes: dict[str, object], where: str
) -> None:
    (warning,) = told(with_sessions(session(**changes)))
    assert where in warning
    made = answer(with_sessions(session(**changes)))
    assert isinstance(made, Plan)
    unseen = answer(facts())
    assert isinstance(unseen, Plan)
    assert made.hash == unseen.hash


@pytest.mark.parametrize(
    "changes", [{}, {"hidden": True, "address": None}, {"address": None}, {"application": ""}]
)
def test_in_a_database_that_others_use_it_forbids_the_plan(changes: dict[str, object]) -> None:
    refusal = answer(with_sessions(session(**changes), known=used_by(facts(), CORE, "acme-sandbox")))
    assert isinstance(refusal, Refusal)
    assert [each.reason for each in refusal.reasons] == [Reason.SESSIONS_UNKNOWN]
    assert "acme-sandbox uses it, too" in refusal.detail
    assert not refusal.by_rule


def test_so_it_does_in_a_database_that_the_catalog_says_is_in_use_elsewhere() -> None:
    entry = {"environment": "x-sandbox", "databases": [{"systemIdentifier": "7001", "name": "los-sandbox"}]}
    refusal = answer(with_sessions(session()), catalog(elsewhere=[entry]))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.SESSIONS_UNKNOWN


def test_so_it_does_in_a_database_with_the_name_that_a_production_uses() -> None:
    name = next(iter(_production_names()))
    known = facts()
    named = known.model_copy(
        update={
            "databases": tuple(
                fact.model_copy(update={"name": name}) if fact.key == CORE else fact
                for fact in known.databases
            )
        }
    )
    refusal = answer(with_sessions(session(), known=named))
    assert isinstance(refusal, Refusal)
    assert "the name that a production uses" in refusal.detail
    assert isinstance(answer(named), Plan)


def test_behind_a_node_may_be_a_known_pod_so_it_is_told_alone() -> None:
    known = used_by(facts(), CORE, "acme-sandbox")
    assert len(told(with_sessions(session(of_node=True), known=known))) == 1


def test_what_the_catalog_tolerates_is_neither_told_nor_forbids_unless_it_may_write() -> None:
    where = catalog(toleratedSessions=[TOLERATED])
    shared = used_by(facts(), CORE, "acme-sandbox")
    hidden = session(hidden=True, address=None)
    assert told(with_sessions(session(), hidden, known=shared), where) == []
    for other in (session(writes=True), session(role="other"), session(application="dashboards2")):
        assert isinstance(answer(with_sessions(other, known=shared), where), Refusal)


def test_a_session_in_a_database_that_the_plan_leaves_alone_is_none_of_its_business() -> None:
    known = used_by(facts(), key_of("integrations"), "acme-sandbox")
    assert told(with_sessions(session(key=key_of("integrations")), known=known)) == []


def test_that_sessions_could_not_be_read_is_told_and_forbids_where_others_share() -> None:
    gap = Unreadable(
        environment="qa-sandbox",
        subject="sessions of los-sandbox",
        reason=Reason.DATABASE_UNREACHABLE,
        detail="no answer",
        protected=False,
        temporary=True,
    )
    made = answer(facts().model_copy(update={"unreadable": (gap,)}))
    assert isinstance(made, Plan)
    assert any("could not be read: no answer" in warning for warning in made.warnings)
    refusal = answer(used_by(facts(), CORE, "acme-sandbox").model_copy(update={"unreadable": (gap,)}))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.temporary) == (Reason.SESSIONS_UNKNOWN, True)


def _production_names() -> set[str]:
    return {
        name
        for service in CATALOG.services
        for database in service.databases
        for kind, name in database.names.items()
        if kind == "production"
    }
