"""What holds for every plan, whatever is asked for and found."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.facts import Facts
from schemas.plan import Phase, Plan, StepKind
from schemas.repositories import Beside
from schemas.resets import Channel
from statemachines.planning.planner import plan_hash
from tests.unit.statemachines.planner.world import (
    CATALOG,
    SERVICES,
    Mode,
    Option,
    answer,
    facts,
    key_of,
    planned,
    repository_key,
    request,
    used_by,
)

PIPELINE = list(Phase)

asked = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(Mode),
        "services": st.none() | st.lists(st.sampled_from(SERVICES), min_size=1, unique=True),
        "service_modes": st.dictionaries(st.sampled_from(SERVICES), st.sampled_from(Mode), max_size=3),
        "options": st.lists(st.sampled_from(Option), unique=True),
        "integrations": st.lists(st.sampled_from(["plaid", "docusign", "stripe"])),
        "core": st.sampled_from([None, True, False]),
        "git": st.sampled_from([None, True, False]),
    }
)


def fitting(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what no rule would let pass, so that most examples become plans."""
    services = set(fields["services"] or SERVICES)
    modes = {name: mode for name, mode in fields["service_modes"].items() if name in services}
    options = [
        option
        for option in fields["options"]
        if any(option in service.options and service.name in services for service in CATALOG.services)
    ]
    integrations = fields["integrations"] if "los-integrations" in services else []
    return {**fields, "service_modes": modes, "options": options, "integrations": integrations}


plans = (
    asked.map(fitting)
    .map(lambda fields: answer(request(**fields)))
    .filter(lambda made: isinstance(made, Plan))
)


@given(plans)
def test_no_step_is_planned_twice(made: Plan) -> None:
    names = [step.name for step in made.steps]
    assert len(set(names)) == len(names)


@given(plans)
def test_steps_follow_the_pipeline_and_batches_never_go_back(made: Plan) -> None:
    assert [PIPELINE.index(step.phase) for step in made.steps] == sorted(
        PIPELINE.index(step.phase) for step in made.steps
    )
    assert [step.batch for step in made.steps] == sorted(step.batch for step in made.steps)
    for step in made.steps:
        together = [other for other in made.steps if other.batch == step.batch]
        assert {other.phase for other in together} == {step.phase}
        # Only what changes no data runs side by side.
        assert len(together) == 1 or not any(other.destructive for other in together)


@given(plans)
def test_a_subset_keeps_the_catalogs_order_in_every_phase(made: Plan) -> None:
    for phase in (Phase.MIGRATE, Phase.SEED, Phase.VERIFY):
        order = [SERVICES.index(step.service) for step in made.steps if step.phase is phase and step.service]
        assert order == sorted(order)


@given(asked.map(fitting))
def test_the_steps_of_a_subset_are_steps_of_some_service_in_it(fields: dict[str, Any]) -> None:
    made = answer(request(**fields))
    if isinstance(made, Plan):
        wanted = set(fields["services"] or SERVICES)
        assert {step.service for step in made.steps if step.service} <= wanted
        assert set(made.service_modes) == wanted


@given(plans)
def test_every_database_is_backed_up_and_shaken_hands_over_before_anything_destroys(made: Plan) -> None:
    backed_up: set[str] = set()
    shaken: set[tuple[str | None, str]] = set()
    for step in made.steps:
        if step.kind is StepKind.BACKUP_DATABASE:
            backed_up.update(step.touches)
        if step.kind is StepKind.HANDSHAKE:
            shaken.update((step.service, key) for key in step.touches)
        if step.destructive and step.kind is StepKind.COMMAND:
            assert step.touches
            assert backed_up.issuperset(step.touches)
            assert shaken.issuperset((step.service, key) for key in step.touches)


@given(plans)
def test_every_touched_resource_is_listed_once_and_sorted(made: Plan) -> None:
    keys = [resource.key for resource in made.resources]
    assert keys == sorted({key for step in made.steps for key in step.touches})


@given(plans)
def test_checks_and_backups_destroy_nothing_and_can_not_be_skipped(made: Plan) -> None:
    for step in made.steps:
        if step.phase in {Phase.BACKUP, Phase.VERIFY}:
            assert not step.destructive
            assert not step.skippable


@given(plans)
def test_the_hash_is_of_the_plan_itself_and_survives_storing(made: Plan) -> None:
    assert made.hash == plan_hash(made)
    stored = Plan.model_validate_json(made.model_dump_json(by_alias=True))
    assert stored == made
    assert plan_hash(stored) == made.hash


@given(asked.map(fitting))
def test_the_same_question_gets_the_same_answer(fields: dict[str, Any]) -> None:
    assert answer(request(**fields)) == answer(request(**fields))


@given(asked.map(fitting), st.sampled_from(Channel))
def test_who_asks_and_how_changes_no_step(fields: dict[str, Any], channel: Channel) -> None:
    one, other = answer(request(**fields)), answer(request(**fields, reason="other"), channel=channel)
    if isinstance(one, Plan) and isinstance(other, Plan):
        assert one.steps == other.steps


def restless(known: Facts, number: int, text: str) -> Facts:
    """The same facts, with other pods, heads, sizes and counts."""
    return known.model_copy(
        update={
            "services": tuple(
                fact.model_copy(update={"pod": text, "consumers": number}) for fact in known.services
            ),
            "databases": tuple(
                fact.model_copy(update={"tables": number, "size_bytes": number, "server_version": number})
                for fact in known.databases
            ),
            "repositories": tuple(
                fact.model_copy(
                    update={
                        "head": text,
                        "warnings": (text,),
                        "beside": Beside(branches=(text,), more_tags=number),
                    }
                )
                for fact in known.repositories
            ),
        }
    )


@given(st.integers(0, 10**12), st.text(min_size=1, max_size=20))
def test_pods_heads_and_sizes_do_not_change_the_hash(number: int, text: str) -> None:
    assert planned(known=restless(facts(), number, text)).hash == planned().hash


def test_another_image_user_identity_or_mode_changes_the_hash() -> None:
    known = facts()
    image = known.model_copy(
        update={
            "services": tuple(
                fact.model_copy(update={"image_digest": "sha256:new"}) for fact in known.services
            )
        }
    )
    moved = known.model_copy(
        update={
            "databases": tuple(
                fact.model_copy(update={"key": key_of(fact.name, server="7002")}) for fact in known.databases
            ),
            "users": {
                **known.users,
                **{key_of(fact.name, server="7002"): ("qa-sandbox",) for fact in known.databases},
            },
        }
    )
    hashes = [
        planned().hash,
        planned(known=image).hash,
        planned(known=moved).hash,
        planned(known=used_by(known, key_of("integrations"), "acme-sandbox")).hash,
        planned(known=used_by(known, repository_key("qa"), "qa-production")).hash,
        planned(request(mode=Mode.WIPE)).hash,
        planned(request(integrations=["plaid"])).hash,
        planned(request(integrations=["stripe"])).hash,
    ]
    assert len(set(hashes)) == len(hashes)


def test_other_argv_changes_the_hash() -> None:
    made = planned()
    for index, step in enumerate(made.steps):
        if step.argv:
            other = step.model_copy(update={"argv": (*step.argv, "--verbose")})
            changed = made.model_copy(
                update={"steps": (*made.steps[:index], other, *made.steps[index + 1 :])}
            )
            assert plan_hash(changed) != made.hash


def test_warnings_are_not_hashed() -> None:
    made = planned()
    assert plan_hash(made.model_copy(update={"warnings": ("another",)})) == made.hash
