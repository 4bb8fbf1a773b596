"""After the release a reset waits until all of it runs again, once and bounded."""

from __future__ import annotations

import asyncio

from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, ResetState
from schemas.wire import StepName
from statemachines.planning.quiescing import HEALTH_TIMEOUT
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.resting import quiescing_engine, replicas
from tests.unit.engine.drives.stand import ENVIRONMENT, SERVICE


def test_services_that_do_not_come_back_stop_the_reset_behind_its_work() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        service = engine.pods.service(ENVIRONMENT, SERVICE)
        assert service is not None

        async def breaks(_: Process) -> int:
            service.ready = False
            return 0

        engine.programs["work"] = breaks
        await engine.ask(Mode.WIPE)
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.NOT_HEALTHY)
        assert stopped.stopped_in is ResetState.RELEASING
        assert replicas(engine) == 1
        service.ready = True
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert len(engine.pods.launched) == 1

    run(scenario())


def test_health_is_awaited_once_and_for_as_long_as_its_attempt_may_take() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        application = engine.quiescing.applications_[ENVIRONMENT]
        application.away = True
        await engine.ask(Mode.WIPE)
        began = engine.clock.now()
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.NOT_HEALTHY)
        name = StepName("release.health.qa-sandbox")
        assert (len(await engine.attempts(name)), application.asked) == (1, 1)
        assert (engine.clock.now() - began).total_seconds() < HEALTH_TIMEOUT + 120
        application.away = False
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_who_takes_up_an_attempt_whose_time_is_over_still_gives_argocd_time_to_look() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        application = engine.quiescing.applications_[ENVIRONMENT]
        application.away = True
        await engine.ask(Mode.WIPE)
        await engine.drive_until(lambda: application.asked == 1)
        await engine.clock.sleep(2 * HEALTH_TIMEOUT)

        async def comes_back() -> None:
            await engine.clock.sleep(10)
            application.away, application.looked_at = False, engine.clock.now()

        await engine.store.seize("one", [engine.id], ttl=1.0)
        await engine.clock.sleep(2)
        coming = asyncio.create_task(comes_back())
        done = await engine.drive()
        await coming
        assert (done.state, application.asked) == (ResetState.DONE, 2), done

    run(scenario())
