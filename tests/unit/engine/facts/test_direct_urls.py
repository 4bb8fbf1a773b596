"""B4, B5: what no dump can be taken through is refused when the plan is made; a direct URL leads past it."""

from __future__ import annotations

import pytest

from daemon.engine.facts.reader import FactsReader
from daemon.ports.errors import PermanentError
from schemas.catalog.catalog import Catalog
from schemas.facts import Facts
from schemas.reasons import Reason
from schemas.requests import Mode, ResetRequested
from tests.memory.databases import MemoryDatabase, MemoryDatabases
from tests.memory.pods import MemoryPods
from tests.memory.processes import Process
from tests.memory.quiescing import MemoryQuiescing
from tests.memory.repositories import MemoryRepositories
from tests.memory.store import MemoryStore
from tests.unit.engine.drives.loop import LoopClock, run
from tests.unit.engine.drives.stand import ENVIRONMENT, SERVICE, catalog

POOLED = "postgresql://u:p@pooler/app"
DIRECT = "postgresql://u:p@db/app"
LOCAL = "postgresql://u:p@localhost/app"


async def _nothing(_: Process) -> int:
    return 0


class Reading:
    """Facts of one service, with these variables in its pod."""

    def __init__(self, **variables: str) -> None:
        self.databases = MemoryDatabases()
        self.database = self.databases.add(DIRECT, MemoryDatabase("7001", "app"))
        pods = MemoryPods()
        pods.add(ENVIRONMENT, SERVICE, _nothing, variables)
        loaded: Catalog = catalog().catalog
        (service,) = loaded.services
        (database,) = service.databases
        direct = database.model_copy(update={"direct_url_variable": "DIRECT_URL"})
        changed = service.model_copy(update={"databases": (direct,)})
        self.catalog = loaded.model_copy(update={"services": (changed,)})
        self.pods = pods
        clock = LoopClock()
        self.reader = FactsReader(
            pods,
            self.databases,
            MemoryRepositories(),
            MemoryStore(clock),
            clock,
            self.catalog,
            MemoryQuiescing(pods, clock.now),
        )

    async def read(self) -> Facts:
        return await self.reader.read(
            ResetRequested(environment=ENVIRONMENT, requested_by="ann", mode=Mode.SEED)
        )

    async def url(self) -> str:
        (service,) = self.catalog.services
        pod = await self.pods.choose(ENVIRONMENT, service.selector_text, None)
        url, _ = await self.reader.identify(pod, service, "app")
        return url


@pytest.mark.parametrize(
    ("flaw", "reason"), [("pooled", Reason.DATABASE_POOLED), ("standby", Reason.DATABASE_STANDBY)]
)
def test_b4_a_pooler_and_a_standby_are_known_when_the_plan_is_made(flaw: str, reason: Reason) -> None:
    async def story() -> None:
        reading = Reading(DATABASE_URL=DIRECT)
        setattr(reading.database, flaw, True)
        facts = await reading.read()
        assert [gap.reason for gap in facts.unreadable] == [reason]
        assert facts.databases == ()

    run(story())


def test_b4_a_direct_url_leads_the_daemon_past_the_pooler() -> None:
    async def story() -> None:
        reading = Reading(DATABASE_URL=POOLED, DIRECT_URL=DIRECT)
        reading.databases.add(POOLED, reading.database)
        facts = await reading.read()
        assert [fact.key for fact in facts.databases] == ["database/7001/app"]
        assert facts.unreadable == ()
        assert await reading.url() == DIRECT

    run(story())


def test_b4_a_direct_url_of_another_database_is_no_way_past_the_pooler() -> None:
    async def story() -> None:
        reading = Reading(DATABASE_URL=POOLED, DIRECT_URL=DIRECT)
        reading.databases.add(POOLED, MemoryDatabase("7002", "app"))
        facts = await reading.read()
        assert [gap.reason for gap in facts.unreadable] == [Reason.DATABASE_MISMATCH]

    run(story())


def test_b5_a_direct_url_leads_past_a_sidecar_on_localhost() -> None:
    async def story() -> None:
        reading = Reading(DATABASE_URL=LOCAL, DIRECT_URL=DIRECT)
        facts = await reading.read()
        assert [fact.key for fact in facts.databases] == ["database/7001/app"]

    run(story())


def test_b5_a_sidecar_on_localhost_without_a_direct_url_is_refused_when_the_plan_is_made() -> None:
    async def story() -> None:
        reading = Reading(DATABASE_URL=LOCAL)
        facts = await reading.read()
        assert [gap.reason for gap in facts.unreadable] == [Reason.DATABASE_LOCAL_TO_POD]
        with pytest.raises(PermanentError):
            await reading.url()

    run(story())
