"""Who shares a repository follows from what the catalog's names come to for each environment."""

from __future__ import annotations

import pytest

from daemon.engine.facts.reader import FactsReader
from schemas.catalog.catalog import Repository
from schemas.facts import RepositoryFact
from schemas.requests import ResetRequested
from tests.memory.quiescing import MemoryQuiescing
from tests.memory.repositories import MemoryRepositories
from tests.unit.engine.drives.loop import run
from tests.unit.engine.facts.test_partly_read import PRODUCTION, SANDBOX, Fleet
from tests.unit.statemachines.planner.world import LOADED

BOTH = (PRODUCTION, SANDBOX)


@pytest.mark.parametrize(
    ("declared", "name", "branch", "users"),
    [
        (Repository(pattern="{client}-workflows"), "los-demo-workflows", "main", BOTH),
        (Repository(pattern="{client}-{kind}"), "los-demo-sandbox", "main", (SANDBOX,)),
        (
            Repository(pattern="{client}-workflows", branch="{kind}"),
            "los-demo-workflows",
            "sandbox",
            (SANDBOX,),
        ),
        (
            Repository(pattern="{client}-workflows", branch="release"),
            "los-demo-workflows",
            "release",
            BOTH,
        ),
        (Repository(pattern="workflows"), "workflows", "main", BOTH),
    ],
)
def test_an_environment_uses_what_its_own_reset_would_rewind(
    declared: Repository, name: str, branch: str, users: tuple[str, ...]
) -> None:
    async def story() -> None:
        fleet, repositories = Fleet(), MemoryRepositories()
        repositories.make(name).push("main")
        repositories.make(name).push(branch)
        reader = FactsReader(
            fleet.pods,
            fleet.databases,
            repositories,
            fleet.store,
            fleet.clock,
            LOADED.catalog.model_copy(update={"repositories": (declared,)}),
            MemoryQuiescing(fleet.pods, fleet.clock.now),
        )
        facts = await reader.read(ResetRequested(environment=SANDBOX, requested_by="ana", git=True))
        (fact,) = facts.repositories
        assert isinstance(fact, RepositoryFact)
        assert (fact.repository, fact.branch) == (name, branch)
        assert facts.users[fact.key] == users
        assert (PRODUCTION in users) == any(use.key == fact.key for use in facts.protected_uses)

    run(story())
