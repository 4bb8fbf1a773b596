"""A command that can't be seen for a while is not lost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from daemon.adapters.kubernetes.errors import from_status
from daemon.engine.commands.follow import CommandFollower
from daemon.engine.commands.termination import DOUBT_LIMIT, Termination
from daemon.ports.errors import PermanentError
from schemas.plan import Phase, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import Outcome, OutcomeKind
from schemas.wire import AttemptId, ResetId, StepName
from tests.memory.launch_guards import OpenGuard, no_database_work
from tests.memory.logs import MemoryLogs
from tests.memory.pods import MemoryPods

STEP = PlannedStep(
    name=StepName("seed.app"), phase=Phase.SEED, kind=StepKind.COMMAND, batch=0, argv=("true",)
)
FORBIDDEN = PermanentError(
    Reason.KUBERNETES_FORBIDDEN, "HTTP 403; missing right: get pods/exec in qa-sandbox"
)


class Leaping:
    """A clock on which a pause takes no time of ours."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """Grows with each pause."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Leap."""
        self._now += timedelta(seconds=seconds)
        await asyncio.sleep(0)


async def run(pods: MemoryPods, clock: Leaping) -> Outcome:
    logs = MemoryLogs()
    follower = CommandFollower(pods, logs, clock, Termination(pods, logs, clock, no_database_work))
    attempt = AttemptId("r/seed.app/1")
    pod = await pods.choose("qa-sandbox", "app.kubernetes.io/name=app", None)
    return await follower.start(pod, attempt, STEP, OpenGuard(attempt, ResetId("r"), STEP.name, clock))


async def test_an_api_server_that_has_just_started_and_knows_no_roles_yet_makes_nothing_unknown() -> None:
    pods, clock = MemoryPods(), Leaping()
    pods.add("qa-sandbox", "app")
    for _ in range(5):
        pods.fail("follow", FORBIDDEN)
    outcome = await run(pods, clock)
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.SUCCEEDED, 0)
    assert len(pods.launched) == 1
    await pods.close()


async def test_g1_credentials_that_are_refused_for_everything_leave_the_command_out_of_sight() -> None:
    pods, clock = MemoryPods(), Leaping()
    pods.add("qa-sandbox", "app")
    began = clock.now()
    refused = from_status(401, "run a command in qa-sandbox/app", "get pods/exec")
    for _ in range(200):
        pods.fail("follow", refused)
        pods.fail("fate", refused)
    outcome = await run(pods, clock)
    assert clock.now() - began > DOUBT_LIMIT
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.SUCCEEDED, 0)
    assert len(pods.launched) == 1
    await pods.close()


async def test_a_right_that_is_missing_for_long_makes_the_outcome_unknown_and_is_named() -> None:
    pods, clock = MemoryPods(), Leaping()
    pods.add("qa-sandbox", "app")
    began = clock.now()
    for _ in range(1000):
        pods.fail("follow", FORBIDDEN)
    outcome = await run(pods, clock)
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert "get pods/exec in qa-sandbox" in (outcome.detail or "")
    assert clock.now() - began > DOUBT_LIMIT
    await pods.close()
