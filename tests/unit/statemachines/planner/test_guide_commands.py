"""Every step of the catalog can be reached: some request plans it, exactly as the catalog writes it."""

from __future__ import annotations

from itertools import product

import pytest

from schemas.catalog.catalog import Service
from schemas.catalog.steps import INTEGRATION, StepEntry
from schemas.plan import Plan
from tests.unit.statemachines.planner.world import CATALOG, CORE, Mode, Option, answer, request

STEPS = [
    pytest.param(service, mode, entry, id=f"{service.name}-{mode.value}-{entry.name}-{index}")
    for service in CATALOG.services
    for mode, entries in service.steps.items()
    for index, entry in enumerate(entries)
]


def plans_with(service: Service, mode: Mode) -> list[Plan]:
    """Plans of all requests that run this service in this mode, alone or with its neighbour on core."""
    subsets = [(service.name,), *([CORE] if service.name in CORE else [])]
    integrations: list[list[str]] = [[], ["plaid"]] if service.integrations else [[]]
    options: list[list[Option]] = [[], *([option] for option in service.options)]
    made = []
    for names, other, chosen, named, core in product(subsets, Mode, options, integrations, (None, True)):
        modes = {name: mode if name == service.name else other for name in names}
        asked = request(services=names, service_modes=modes, options=chosen, integrations=named, core=core)
        plan = answer(asked)
        if isinstance(plan, Plan):
            made.append(plan)
    return made


@pytest.mark.parametrize(("service", "mode", "entry"), STEPS)
def test_every_step_is_planned_exactly_as_the_catalog_writes_it(
    service: Service, mode: Mode, entry: StepEntry
) -> None:
    name = f"{entry.phase.value}.{entry.target or service.name}.{entry.name}"
    argv = tuple("plaid" if argument == INTEGRATION else argument for argument in entry.argv)
    name += "-plaid" if entry.for_each else ""
    found = [
        step
        for plan in plans_with(service, mode)
        for step in plan.steps
        if (str(step.name), step.argv) == (name, argv)
    ]
    assert found
    for step in found:
        assert (str(step.service), step.phase.value) == (service.name, entry.phase.value)
        assert (step.timeout, step.idempotent, step.scope) == (entry.timeout, entry.idempotent, entry.scope)
        assert step.skippable == entry.skippable
