"""C1: what one database or one pod of a production's service fails to tell hides nothing of the others."""

from __future__ import annotations

from daemon.engine.facts.reader import FactsReader
from schemas.facts import Facts
from schemas.reasons import Reason
from schemas.requests import Mode, ResetRequested
from tests.memory.databases import MemoryDatabase, MemoryDatabases
from tests.memory.pods import MemoryPods
from tests.memory.quiescing import MemoryQuiescing
from tests.memory.repositories import MemoryRepositories
from tests.memory.services import MemoryService
from tests.memory.store import MemoryStore
from tests.unit.engine.drives.loop import LoopClock, run
from tests.unit.engine.drives.stand import ENVIRONMENT, SERVICE, catalog
from tests.unit.engine.facts.test_direct_urls import DIRECT

PRODUCTION = "los-demo-production"
ELSEWHERE = "postgresql://u:p@elsewhere/app"
UNKNOWN = "postgresql://u:p@nowhere/app"


class Production:
    """The sandbox's service, and a production whose pods a test lays out. The service has a second database."""

    def __init__(self) -> None:
        self.databases = MemoryDatabases()
        self.database = self.databases.add(DIRECT, MemoryDatabase("7001", "app"))
        self.databases.add(ELSEWHERE, MemoryDatabase("7002", "app"))
        self.pods = MemoryPods()
        self.pods.add(ENVIRONMENT, SERVICE, variables={"DATABASE_URL": DIRECT, "SECOND_URL": DIRECT})
        loaded = catalog().catalog
        (service,) = loaded.services
        (first,) = service.databases
        second = first.model_copy(update={"name": "second", "url_variable": "SECOND_URL"})
        service = service.model_copy(update={"databases": (first, second)})
        changed = loaded.model_copy(update={"services": (service,)})
        clock = LoopClock()
        self.reader = FactsReader(
            self.pods,
            self.databases,
            MemoryRepositories(),
            MemoryStore(clock),
            clock,
            changed,
            MemoryQuiescing(self.pods, clock.now),
        )

    def production(self, name: str = SERVICE, **variables: str) -> MemoryService:
        made = self.pods.add(PRODUCTION, name, variables=variables)
        made.label = "" if name == SERVICE else SERVICE
        return made

    async def planned_facts(self) -> Facts:
        return await self.reader.read(
            ResetRequested(environment=ENVIRONMENT, requested_by="ann", mode=Mode.SEED)
        )


def test_c1_a_database_that_does_not_answer_hides_no_other_one_of_the_same_pod() -> None:
    async def story() -> None:
        reading = Production()
        reading.production(DATABASE_URL=UNKNOWN, SECOND_URL=DIRECT)
        facts = await reading.planned_facts()
        assert [gap.subject for gap in facts.unreadable] == ["database app"]
        assert facts.users[reading.database.key] == (PRODUCTION, ENVIRONMENT)

    run(story())


def test_c1_a_pod_that_is_not_ready_hides_no_other_workload() -> None:
    async def story() -> None:
        reading = Production()
        reading.production(DATABASE_URL=ELSEWHERE, SECOND_URL=ELSEWHERE).ready = False
        reading.production("worker", DATABASE_URL=DIRECT)
        facts = await reading.planned_facts()
        assert [(gap.subject, gap.reason) for gap in facts.unreadable] == [("pods", Reason.POD_NOT_READY)]
        assert facts.users[reading.database.key] == (PRODUCTION, ENVIRONMENT)

    run(story())


def test_c1_a_workload_at_0_is_a_gap_of_its_service_that_a_restart_alone_does_not_end() -> None:
    async def story() -> None:
        reading = Production()
        reading.production(DATABASE_URL=ELSEWHERE, SECOND_URL=ELSEWHERE)
        old = reading.production("old", DATABASE_URL=DIRECT)
        old.replicas = 0
        (gap,) = (await reading.planned_facts()).unreadable
        assert (gap.reason, gap.service, gap.subject) == (
            Reason.SERVICE_UNSEEN,
            SERVICE,
            "workload Deployment old",
        )
        assert (gap.protected, gap.temporary) == (True, False)
        old.replicas, old.ready = 1, False
        (gap,) = (await reading.planned_facts()).unreadable
        assert gap.temporary
        old.ready = True
        facts = await reading.planned_facts()
        assert facts.unreadable == ()
        assert facts.users[reading.database.key] == (PRODUCTION, ENVIRONMENT)

    run(story())
