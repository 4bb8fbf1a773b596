"""Steps whose effect lives in a container."""

from __future__ import annotations

import pytest

from schemas.catalog.catalog import Catalog
from schemas.plan import Phase, Plan, PlannedStep, RunIn, Scope, StepKind
from schemas.resets import Outcome, OutcomeKind, Step, StepState
from schemas.wire import StepName
from statemachines.planning.planner import plan
from statemachines.steps.container_scope import needed_before, succeeded_elsewhere, with_container
from tests.unit.statemachines.planner.world import CATALOG, Channel, Mode, facts, planned, request

DATA_BUILDER = "data-builder-api"
SUCCEEDED = Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0)


def test_models_are_needed_by_every_later_command_of_their_service_and_by_nobody_else() -> None:
    made = planned(request(mode=Mode.REFRESH))
    synced = [step for step in made.steps if step.scope is Scope.CONTAINER]
    assert [step.name for step in synced] == ["migrate.core.sync-model"]
    need = [step.name for step in made.steps if needed_before(made, step)]
    assert need == ["seed.data-builder-api.data-builder", *verifies(made.steps)]


def verifies(steps: tuple[PlannedStep, ...]) -> list[str]:
    return [step.name for step in steps if step.phase is Phase.VERIFY and step.service == DATA_BUILDER]


@pytest.mark.parametrize(
    ("state", "container", "void"),
    [
        (StepState.SUCCEEDED, "uid/first", False),
        (StepState.SUCCEEDED, "uid/second", True),
        (StepState.SKIPPED, "uid/second", False),
        (StepState.PENDING, "uid/second", False),
    ],
)
def test_a_success_is_good_for_the_container_that_it_was_had_in(
    state: StepState, container: str, void: bool
) -> None:
    planned = PlannedStep(
        name=StepName("s"), phase=Phase.SEED, kind=StepKind.COMMAND, batch=0, scope=Scope.CONTAINER
    )
    outcome = with_container(planned, SUCCEEDED, "uid/first")
    assert (
        succeeded_elsewhere(Step(name=planned.name, index=0, state=state, outcome=outcome), container) is void
    )


def test_a_success_that_a_person_claims_is_good_for_no_container() -> None:
    step = Step(name=StepName("s"), index=0, state=StepState.SUCCEEDED, outcome=SUCCEEDED)
    assert succeeded_elsewhere(step, "uid/first")


def test_where_a_service_runs_in_a_holder_its_questions_are_asked_there_too() -> None:
    held = CATALOG.model_dump(by_alias=True, mode="json")
    for service in held["services"]:
        for step in (entry for steps in service["steps"].values() for entry in steps):
            step["runIn"] = "holder" if service["name"] == "workflow-api" else "service"
    made = plan(
        request(mode=Mode.REFRESH), Channel.HTTP, Catalog.model_validate(held), "held", facts("qa-sandbox")
    )
    assert isinstance(made, Plan)
    for step in made.steps:
        assert (step.run_in is RunIn.HOLDER) is (step.service == "workflow-api"), step.name
