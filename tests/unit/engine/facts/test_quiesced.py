"""Facts of services that a reset keeps scaled to 0: their own reset asks holders, others go by what was remembered."""

from __future__ import annotations

from daemon.engine.facts.reader import FactsReader
from schemas.facts import Facts
from schemas.quiescing import ObjectRef
from schemas.reasons import Reason
from schemas.requests import Mode, ResetRequested
from schemas.wire import ResetId, ResourceKey
from tests.memory.databases import MemoryDatabase, MemoryDatabases
from tests.memory.pods import MemoryPods
from tests.memory.quiescing import MemoryQuiescing
from tests.memory.repositories import MemoryRepositories
from tests.memory.store import MemoryStore
from tests.unit.engine.drives.loop import LoopClock, run
from tests.unit.engine.drives.stand import ENVIRONMENT, SERVICE, catalog

OTHER = "los-sandbox"
URL = "postgresql://app:secret@db/app"
KEY = ResourceKey("database/7001/app")
RESET = ResetId("01900000-0000-7000-8000-000000000001")
MINE = ObjectRef(environment=ENVIRONMENT, kind="Deployment", name=SERVICE)
THEIRS = ObjectRef(environment=OTHER, kind="Deployment", name=SERVICE)


class Fleet:
    """Two environments that share one database, and whose services may be quiesced."""

    def __init__(self) -> None:
        databases, self.pods, clock = MemoryDatabases(), MemoryPods(), LoopClock()
        databases.add(URL, MemoryDatabase("7001", "app"))
        for environment in (ENVIRONMENT, OTHER):
            self.pods.add(environment, SERVICE, variables={"DATABASE_URL": URL})
        self.quiescing = MemoryQuiescing(self.pods, clock.now)
        loaded = catalog(quiesce=[Mode.WIPE]).catalog
        self.reader = FactsReader(
            self.pods, databases, MemoryRepositories(), MemoryStore(clock), clock, loaded, self.quiescing
        )

    async def read(self, holding: ResetId | None = None, mode: Mode = Mode.WIPE) -> Facts:
        request = ResetRequested(environment=ENVIRONMENT, requested_by="ann", mode=mode)
        return await self.reader.read(request, holding)


def test_all_that_uses_a_database_of_the_plan_is_a_consumer_in_other_environments_too() -> None:
    async def story() -> None:
        facts = await Fleet().read()
        assert [(fact.object, fact.uses) for fact in facts.consumers] == [
            (THEIRS, (KEY,)),
            (MINE, (KEY,)),
        ]
        assert facts.users[THEIRS.key] == (OTHER,)
        assert (await Fleet().read(mode=Mode.SEED)).consumers == ()

    run(story())


def test_a_service_that_another_reset_keeps_down_names_that_reset() -> None:
    async def story() -> None:
        fleet = Fleet()
        await fleet.quiescing.quiesce(MINE, RESET, [KEY], status=1)
        gap = next(each for each in (await fleet.read()).unreadable if each.subject == "pods")
        assert (gap.reason, gap.service) == (Reason.QUIESCED, SERVICE)
        assert f"is scaled to 0 by {RESET}" in gap.detail

    run(story())


def test_a_reset_reads_the_services_that_it_keeps_down_in_its_holders() -> None:
    async def story() -> None:
        fleet = Fleet()
        before = await fleet.read()
        for target in (MINE, THEIRS):
            await fleet.quiescing.quiesce(target, RESET, [KEY], status=1)
        after = await fleet.read(RESET)
        assert after.unreadable == ()
        assert after.databases == before.databases
        assert after.users == before.users
        assert [fact.object for fact in after.consumers] == [fact.object for fact in before.consumers]
        assert [fact.quiesced_by for fact in after.consumers] == [(RESET,), (RESET,)]
        assert len(await fleet.pods.holders()) == 1

    run(story())


def test_what_another_environment_used_before_it_was_quiesced_still_counts() -> None:
    async def story() -> None:
        fleet = Fleet()
        await fleet.quiescing.quiesce(THEIRS, RESET, [KEY], status=1)
        facts = await fleet.read()
        assert facts.users[KEY] == (OTHER, ENVIRONMENT)
        assert facts.unreadable == ()

    run(story())
