"""A workload uses several databases: what scales it to 0 for one of them concerns the plans of all of them."""

from __future__ import annotations

from daemon.engine.facts.reader import FactsReader
from schemas.catalog.catalog import Catalog
from schemas.facts import Facts
from schemas.plan import Plan, RunIn
from schemas.quiescing import ObjectRef
from schemas.requests import Mode, ResetRequested
from schemas.resets import Channel
from schemas.wire import ResetId, ResourceKey
from statemachines.planning.planner import plan
from tests.memory.databases import MemoryDatabase, MemoryDatabases
from tests.memory.pods import MemoryPods
from tests.memory.quiescing import MemoryQuiescing
from tests.memory.repositories import MemoryRepositories
from tests.memory.store import MemoryStore
from tests.unit.engine.drives.loop import LoopClock, run
from tests.unit.engine.drives.stand import ENVIRONMENT, SERVICE, catalog

X, Y, Z = (f"postgresql://app:secret@db/{name}" for name in "xyz")
KEY_OF_Y = ResourceKey("database/7001/y")
RESET = ResetId("01900000-0000-7000-8000-000000000001")
SHARED, THIRD = "los-sandbox", "acme-sandbox"
THEIRS = ObjectRef(environment=SHARED, kind="Deployment", name=SERVICE)


class TwoDatabases:
    """qa uses x and z, los uses x and y, acme uses y alone. Wipes quiesce, and write to the first database alone."""

    def __init__(self) -> None:
        self.databases, self.pods, self.clock = MemoryDatabases(), MemoryPods(), LoopClock()
        for url in (X, Y, Z):
            self.databases.add(url, MemoryDatabase("7001", url[-1]))
        for environment, one, two in ((ENVIRONMENT, X, Z), (SHARED, X, Y), (THIRD, Y, Y)):
            self.pods.add(environment, SERVICE, variables={"DATABASE_URL": one, "SECOND_URL": two})
        self.quiescing = MemoryQuiescing(self.pods, self.clock.now)
        loaded = catalog(quiesce=[Mode.WIPE])
        (service,) = loaded.catalog.services
        (first,) = service.databases
        second = first.model_copy(update={"name": "second", "url_variable": "SECOND_URL"})
        work = {
            mode: tuple(
                step.model_copy(update={"databases": ("second" if mode is Mode.SEED else "app",)})
                for step in steps
            )
            for mode, steps in service.steps.items()
        }
        service = service.model_copy(update={"databases": (first, second), "steps": work})
        self.catalog: Catalog = loaded.catalog.model_copy(update={"services": (service,)})

    async def facts(self, request: ResetRequested) -> Facts:
        reader = FactsReader(
            self.pods,
            self.databases,
            MemoryRepositories(),
            MemoryStore(self.clock),
            self.clock,
            self.catalog,
            self.quiescing,
        )
        return await reader.read(request)

    async def plan(self, environment: str, mode: Mode = Mode.WIPE, *services: str) -> Plan:
        request = ResetRequested(
            environment=environment, requested_by="ann", mode=mode, services=services or None
        )
        made = plan(request, Channel.HTTP, self.catalog, "tests", await self.facts(request))
        assert isinstance(made, Plan), made
        return made


def test_a_workload_at_rest_is_still_known_to_use_its_other_databases() -> None:
    async def story() -> None:
        world = TwoDatabases()
        before = await world.plan(THIRD)
        of_x = await world.plan(ENVIRONMENT)
        step = next(step for step in of_x.steps if step.object == THEIRS)
        await world.quiescing.quiesce(THEIRS, RESET, step.uses, status=1)
        after = await world.plan(THIRD)
        assert [step.name for step in after.steps] == [step.name for step in before.steps]
        (database,) = [each for each in after.resources if each.key == KEY_OF_Y]
        assert SHARED in database.users

    run(story())


def test_a_seed_in_a_services_own_pod_and_a_reset_that_scales_that_service_to_0_exclude_each_other() -> None:
    async def story() -> None:
        world = TwoDatabases()
        seeding, wiping = await world.plan(SHARED, Mode.SEED), await world.plan(ENVIRONMENT)
        assert any(step.object == THEIRS for step in wiping.steps)
        assert any(step.run_in is RunIn.SERVICE for step in seeding.steps)
        shared = {each.key for each in seeding.resources} & {each.key for each in wiping.resources}
        assert shared == {THEIRS.key}

    run(story())


def test_a_service_of_the_same_environment_that_can_not_be_asked_is_named() -> None:
    async def story() -> None:
        world = TwoDatabases()
        (app,) = world.catalog.services
        beta = app.model_copy(update={"name": "beta"})
        world.catalog = world.catalog.model_copy(update={"services": (app, beta), "order": ("app", "beta")})
        crashing = world.pods.add(ENVIRONMENT, "beta", variables={"DATABASE_URL": X, "SECOND_URL": Z})
        crashing.ready = False
        made = await world.plan(ENVIRONMENT, Mode.WIPE, "app")
        assert any(f"What {ENVIRONMENT}/beta uses could not be read" in each for each in made.warnings)

    run(story())
