from __future__ import annotations

import pytest

from schemas.facts import Facts, Loss
from schemas.plan import Plan
from schemas.reasons import Reason
from schemas.resets import Channel
from statemachines.planning.planner import plan
from tests.unit.statemachines.planner.world import (
    CATALOG,
    LOADED,
    Mode,
    Option,
    facts,
    key_of,
    planned,
    refused,
    repository_key,
    request,
    used_by,
)


def warned(text: str, warnings: tuple[str, ...]) -> bool:
    return any(text in warning for warning in warnings)


def test_e3_what_a_wipe_takes_is_told_and_refused_unless_the_catalog_lists_it() -> None:
    known = facts()
    (sequence,) = (one for one in known.databases if one.service == "sequence-builder-api")
    losses = (Loss(name="extension citext", for_good=False), Loss(name="grants to reporting", for_good=True))
    others = [one for one in known.databases if one is not sequence]
    lossy = facts(databases=(*others, sequence.model_copy(update={"losses": losses})))
    wipe = request(services=["sequence-builder-api"], mode="wipe")
    (reason,) = refused(wipe, lossy).reasons
    assert reason.reason is Reason.LOST_BY_WIPE
    assert "takes for good: grants to reporting. " in reason.detail
    services = [
        service.model_copy(
            update={
                "databases": tuple(
                    one.model_copy(update={"known_losses": ("grants to reporting",)})
                    for one in service.databases
                )
            }
        )
        for service in CATALOG.services
    ]
    listed = CATALOG.model_copy(update={"services": tuple(services)})

    def made_of(known: Facts) -> Plan:
        found = plan(wipe, Channel.HTTP, listed, LOADED.id, known)
        assert isinstance(found, Plan)
        return found

    made = made_of(lossy)
    (step,) = (step for step in made.steps if step.wipes)
    assert (step.name, step.wipes[0].losses) == ("seed.sequence-builder-api.reset", losses)
    told = [text for text in made.warnings if "takes" in text]
    assert len(told) == 2
    assert "as the catalog allows: grants to reporting" in told[0]
    assert "takes extension citext: its migrations have to make that again" in told[1]
    assert made.hash != made_of(facts()).hash
    assert not [step for step in planned(request(mode="refresh"), lossy).steps if step.wipes]


def test_touching_core_says_that_it_is_shared() -> None:
    assert warned("shared by data-builder-api and los-core-api; it is migrated", planned().warnings)
    assert warned("it is wiped once", planned(request(mode=Mode.WIPE)).warnings)
    alone = planned(request(services=["los-core-api"])).warnings
    assert warned("also for data-builder-api, which is not in this plan", alone)


def test_resetting_data_builder_alone_says_that_core_stays() -> None:
    made = planned(request(services=["data-builder-api"], mode=Mode.WIPE))
    assert warned("its own schema only", made.warnings)
    assert all("core" not in step.name for step in made.steps)


def test_a_production_is_to_be_checked_before_it_is_approved() -> None:
    assert warned(
        "protected kind production", planned(request("qa-production"), facts("qa-production")).warnings
    )


def test_other_users_of_a_database_are_named() -> None:
    made = planned(known=used_by(facts(), key_of("integrations"), "acme-sandbox"))
    assert warned("integrations is also used by acme-sandbox", made.warnings)


def test_a_database_that_is_remembered_as_protected_is_named() -> None:
    known = facts().model_copy(update={"remembered_protected": (key_of("integrations"),)})
    assert warned("integrations was once seen in use", planned(known=known).warnings)


def test_a_service_on_another_database_than_the_guides_table_says_is_named() -> None:
    known = facts("qa-production")
    made = planned(request("qa-production"), known)
    assert warned("los-sandbox as core; a production is expected to use los-production", made.warnings)
    assert not warned("is expected to use", planned().warnings)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "los-integrations loses its user data"),
        ({"mode": Mode.WIPE}, "los-integrations loses its user data"),
        ({"mode": Mode.SEED}, "los-integrations keeps its user data"),
        ({"options": [Option.KEEP_USER_DATA]}, "los-integrations keeps its user data"),
        ({"mode": Mode.WIPE}, "are dropped and made anew"),
        ({"mode": Mode.WIPE}, "The migrations of workflow-api are undone and applied anew"),
        ({"mode": Mode.SEED}, "it fails where migrations are pending"),
        ({"options": [Option.MOCK]}, "for testing environments only"),
        ({"mode": Mode.WIPE}, "undoes one migration at a time"),
        ({}, "qa-workflows goes back to its initial commit on main"),
        ({"git": False}, "qa-workflows is left as it is"),
    ],
)
def test_what_the_guide_warns_of_is_said_by_the_plans_that_do_it(
    fields: dict[str, object], text: str
) -> None:
    assert warned(text, planned(request(**fields)).warnings)


def test_a_wipe_that_undoes_migrations_promises_to_drop_nothing_else() -> None:
    alone = planned(request(services=["workflow-api"], mode=Mode.WIPE)).warnings
    assert not warned("All tables of", alone)
    assert warned("Tables that people made themselves stay", alone)
    assert not warned(
        "stay, with their rows", planned(request(services=["ui-builder-api"], mode="wipe")).warnings
    )
    (everything,) = (
        text for text in planned(request(mode=Mode.WIPE)).warnings if text.startswith("All tables of")
    )
    assert "workflow-api" not in everything
    assert "los-core-api" in everything


def test_a_repository_that_a_production_uses_too_is_named() -> None:
    made = planned(known=used_by(facts(), repository_key("qa"), "qa-production"))
    assert warned("qa-production uses it, too", made.warnings)


def test_what_is_left_alone_in_a_repository_is_told() -> None:
    known = facts()
    busy = known.repositories[0].model_copy(update={"warnings": ("2 open pull requests",)})
    made = planned(known=known.model_copy(update={"repositories": (busy,)}))
    assert warned("qa-workflows: 2 open pull requests", made.warnings)
