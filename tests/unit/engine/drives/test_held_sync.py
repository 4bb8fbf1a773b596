"""A reset of an environment whose automated sync another reset holds waits for that reset, however long it takes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from uuid_utils import uuid7

from daemon.engine.states.waiting import WaitingLimits
from schemas.reasons import Reason
from schemas.resets import ActKind, ResetState
from schemas.wire import ResetId
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.resting import quiescing_engine
from tests.unit.engine.drives.stand import ENVIRONMENT, Engine

LONG = WaitingLimits().settled + timedelta(hours=2)


async def another_at_work(engine: Engine) -> ResetId:
    """Return a reset of the store that is not at rest."""
    mine = engine.id
    engine.id = ResetId(str(uuid7()))
    await engine.ask()
    other, engine.id = engine.id, mine
    return other


def test_it_is_waited_for_as_long_as_the_other_is_at_work() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.deployments.held[ENVIRONMENT] = (await another_at_work(engine),)
        engine.deployments.closed[ENVIRONMENT] = "ArgoCD says OutOfSync and Healthy"
        waited: list[str] = []

        async def release() -> None:
            await engine.clock.sleep(LONG.total_seconds())
            waiting = (await engine.reset()).waiting_for
            waited.append(waiting.reason if waiting else "")
            engine.deployments.held.clear()
            engine.deployments.closed.clear()

        await engine.ask(reason="mine")
        releasing = asyncio.create_task(release())
        done = await engine.drive()
        await releasing
        assert done.state is ResetState.DONE, done
        assert waited == ["quiesced"]

    run(scenario())


def test_a_reset_that_nobody_knows_of_is_not_waited_for() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        unknown = ResetId(str(uuid7()))
        engine.deployments.held[ENVIRONMENT] = (unknown,)
        await engine.ask()
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.QUIESCED)
        assert unknown in (stopped.detail or "")
        assert "resetd release ID" in (stopped.hint or "")
        engine.deployments.held.clear()
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_what_a_reset_holds_itself_keeps_it_from_nothing() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        engine.deployments.held[ENVIRONMENT] = (engine.id,)
        engine.deployments.closed[ENVIRONMENT] = "ArgoCD says OutOfSync and Healthy"
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())
