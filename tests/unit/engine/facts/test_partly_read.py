"""A database of a service that can't be read hides no other one of it, and no other pod."""

from __future__ import annotations

from datetime import timedelta

from daemon.engine.facts.reader import FactsReader
from daemon.engine.planning import Planning
from schemas.plan import Plan
from schemas.requests import Mode, ResetRequested
from schemas.resets import Channel
from statemachines.refusals import Refusal
from tests.contract.store.test_protection import line
from tests.memory.databases import MemoryDatabase, MemoryDatabases
from tests.memory.pods import MemoryPods
from tests.memory.processes import Process
from tests.memory.quiescing import MemoryQuiescing
from tests.memory.repositories import MemoryRepositories
from tests.memory.store import MemoryStore
from tests.unit.engine.drives.loop import LoopClock, run
from tests.unit.statemachines.planner.world import LOADED
from tests.unit.statemachines.words.test_words import word

SANDBOX, PRODUCTION = "los-demo-sandbox", "los-demo-production"
MIGRATOR = "data-builder-api"


async def _nothing(_: Process) -> int:
    return 0


class Fleet:
    """A sandbox and a production, each on databases of its own."""

    def __init__(self) -> None:
        self.databases, self.pods, self.clock = MemoryDatabases(), MemoryPods(), LoopClock()
        self.store = MemoryStore(self.clock)
        self.made: dict[str, MemoryDatabase] = {}
        for environment in (SANDBOX, PRODUCTION):
            for service in LOADED.catalog.services:
                variables = {}
                for database in service.databases:
                    name = f"{environment}-{database.name}"
                    variables[database.variables[0]] = url = f"postgresql://u:p@db/{name}"
                    if name not in self.made:
                        self.made[name] = self.databases.add(url, MemoryDatabase("7001", name))
                self.pods.add(environment, service.name, _nothing, variables)
        self.reader = FactsReader(
            self.pods,
            self.databases,
            MemoryRepositories(),
            self.store,
            self.clock,
            LOADED.catalog,
            MemoryQuiescing(self.pods, self.clock.now),
        )
        self.planning = Planning(self.reader, LOADED.catalog, LOADED.id)
        self.request = ResetRequested(environment=SANDBOX, requested_by="ana", mode=Mode.SEED, git=False)


def test_each_database_that_can_not_be_read_is_a_gap_and_the_others_are_read() -> None:
    async def story() -> None:
        fleet = Fleet()
        fleet.made[f"{PRODUCTION}-core"].answers = False
        facts = await fleet.reader.read(fleet.request)
        gaps = [(gap.service, gap.subject) for gap in facts.unreadable if gap.service]
        assert gaps == [(MIGRATOR, "database core"), ("los-core-api", "database core")]
        own = fleet.made[f"{PRODUCTION}-data-builder"].key
        assert facts.users[own] == (PRODUCTION,)
        fleet.made[f"{PRODUCTION}-data-builder"].answers = False
        facts = await fleet.reader.read(fleet.request)
        found = {(gap.service, gap.subject) for gap in facts.unreadable}
        assert (MIGRATOR, "database core") in found
        assert (MIGRATOR, "database data-builder") in found

    run(story())


def test_c3_a_dry_run_remembers_and_leaves_a_service_that_is_seen_in_part_as_it_was() -> None:
    async def story() -> None:
        fleet = Fleet()
        await fleet.planning.plan(fleet.request, Channel.HTTP)
        first = {(use.service, use.database): use.last_seen_at for use in await fleet.store.protected()}
        assert (MIGRATOR, "core") in first
        await fleet.clock.sleep(60.0)
        fleet.made[f"{PRODUCTION}-core"].answers = False
        await fleet.planning.plan(fleet.request, Channel.HTTP)
        then = {(use.service, use.database): use.last_seen_at for use in await fleet.store.protected()}
        same = {place for place in first if then[place] == first[place]}
        assert same == {(MIGRATOR, "core"), (MIGRATOR, "data-builder"), ("los-core-api", "core")}

    run(story())


def test_c3_a_word_lasts_while_its_outage_lasts_and_ends_with_it() -> None:
    async def story() -> None:
        fleet = Fleet()

        async def look() -> Plan | Refusal:
            await fleet.clock.sleep(60.0)
            return await fleet.planning.plan(fleet.request, Channel.HTTP)

        await look()
        fleet.made[f"{PRODUCTION}-core"].answers = False
        assert isinstance(await look(), Refusal)
        given = word(
            PRODUCTION,
            uses=None,
            given_at=fleet.clock.now(),
            expires_at=fleet.clock.now() + timedelta(days=9),
        )
        await fleet.store.give_word(given, line())
        for _ in range(3):
            answer = await look()
            assert isinstance(answer, Plan), answer
            assert {use.database for use in answer.assurances[0].remembered} == {"core"}
        fleet.made[f"{PRODUCTION}-core"].answers = True
        assert isinstance(await look(), Plan)
        fleet.made[f"{PRODUCTION}-core"].answers = False
        assert isinstance(await look(), Refusal)

    run(story())
