"""Sessions that are in a database when a plan is made: those of no known pod are told, or refuse the plan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.ports.databases import Session
from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason
from tests.integration.api.stand import Stand
from tests.memory.databases import MemoryDatabase

PRODUCTION = "los-demo-production"
ONLY = {"services": ["ui-builder-api"], "git": False}
POD, NOWHERE = "10.0.0.5", "10.9.9.9"


def session(address: str, *, role: str = "app", pid: int = 4711) -> Session:
    return Session(pid, role, "psql", address, hidden=False, writes=True, since=datetime.now(UTC))


def of_ui(stand: Stand, environment: str = "qa-sandbox") -> MemoryDatabase:
    return next(each for each in stand.databases if each.name == f"{environment}-ui-builder")


async def planned(stand: Stand) -> tuple[int, dict[str, Any]]:
    async with stand.client("ana") as ana:
        answer = await ana.post("/plans", json={"environment": "qa-sandbox", **ONLY})
    return answer.status_code, answer.json()


def lead_production_there(stand: Stand, role: str) -> None:
    """Let the production's pod reach the sandbox's database, with a role of its own."""
    url = f"postgresql://{role}:pw@db/qa-sandbox-ui-builder"
    stand.services[PRODUCTION, "ui-builder-api"].variables["DATABASE_URL"] = url
    stand.lead(url, of_ui(stand))


async def test_a_session_of_a_pod_is_known_and_one_from_nowhere_is_told(stand: Stand) -> None:
    database = of_ui(stand)
    pod = stand.services["qa-sandbox", "ui-builder-api"].address
    assert pod is not None
    database.sessions = [session(pod)]
    status, plan = await planned(stand)
    assert (status, [each for each in plan["warnings"] if "no known pod" in each]) == (200, [])
    database.sessions.append(session(NOWHERE, pid=4712))
    status, other = await planned(stand)
    assert [each for each in other["warnings"] if "no known pod" in each] == [
        f"{database.name} has a session of app with psql from {NOWHERE}; it is of no known pod."
    ]
    assert other["hash"] == plan["hash"]


@pytest.mark.parametrize("role", ["app", "of-production"])
async def test_what_a_sharing_environments_own_url_shows_is_known(stand: Stand, role: str) -> None:
    lead_production_there(stand, role)
    pod = stand.services[PRODUCTION, "ui-builder-api"].address
    assert pod is not None
    of_ui(stand).sessions = [session(pod, role=role)]
    status, plan = await planned(stand)
    assert status == 200, plan
    assert not [each for each in plan["warnings"] if "no known pod" in each]


async def test_in_a_shared_database_one_from_nowhere_or_hidden_refuses_the_plan(stand: Stand) -> None:
    lead_production_there(stand, "app")
    for unknown in (session(NOWHERE), session(POD, role="somebody")):
        of_ui(stand).sessions = [unknown]
        status, problem = await planned(stand)
        assert (status, problem["code"]) == (409, "sessions-unknown"), problem
        assert PRODUCTION in problem["detail"]


async def test_pods_that_can_not_be_listed_are_no_reason_to_call_their_sessions_known(stand: Stand) -> None:
    of_ui(stand).sessions = [session(NOWHERE)]
    stand.pods.fail("addresses", TemporaryError(Reason.KUBERNETES_UNREACHABLE, "no answer"))
    status, plan = await planned(stand)
    assert status == 200
    assert any("could not be read: no answer" in each for each in plan["warnings"])
