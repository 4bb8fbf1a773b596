"""A freeze that says `now` pauses what is at work between steps; its end looks again at dumps and handshakes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from schemas.requests import Mode
from schemas.resets import ActKind, ResetState, StepState
from schemas.wire import StepName
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.resting import replicas, sweep
from tests.unit.engine.drives.restraining import HOUR, at_first, freeze, unfreeze
from tests.unit.engine.drives.stand import ENVIRONMENT, Engine, catalog

FIRST = StepName("seed.app.first")


def two_steps(engine_of: dict[str, Engine], **more: object) -> Engine:
    """An engine whose first destructive step freezes everything `now` while it runs; `work` follows it."""

    async def first(_: Process) -> int:
        engine = engine_of["engine"]
        if not engine.store.state.freezes:
            await freeze(engine, seconds=2 * HOUR, at_once=True)
            await engine.restraints.look()
        return 0

    before = {"name": "first", "phase": "seed", "argv": ["first"], "idempotent": "safe", "timeout": 900}
    engine = Engine(catalog(before=before, **more), first=first)  # type: ignore[arg-type]
    engine_of["engine"] = engine
    return engine


async def until_paused(engine: Engine) -> None:
    driving = asyncio.create_task(engine.drive())
    while (await engine.reset()).state is not ResetState.PAUSED:
        await asyncio.sleep(0.5)
        assert not driving.done(), f"it came to rest: {driving.result()}"
    await asyncio.sleep(5.0)
    driving.cancel()
    await asyncio.gather(driving, return_exceptions=True)


def test_it_pauses_behind_the_step_that_runs_with_its_locks_and_dumps_again_afterwards() -> None:
    async def scenario() -> None:
        engine = two_steps({})
        dump, dumps = engine.backups.dump, 0

        async def counted(*arguments: object, **named: object) -> object:
            nonlocal dumps
            dumps += 1
            return await dump(*arguments, **named)  # type: ignore[arg-type]

        engine.backups.dump = counted  # type: ignore[method-assign, assignment]
        await engine.ask()
        await until_paused(engine)
        reset = await engine.reset()
        assert reset.waiting_for is not None
        assert reset.waiting_for.reason == "freeze"
        assert (engine.launched("first"), engine.launched()) == (1, 0)
        assert all(row.granted for row in await engine.store.locks())
        assert await engine.store.locks()
        assert (await engine.step(FIRST)).state is StepState.SUCCEEDED
        handshakes = len(await engine.attempts(StepName("backup.handshake.app")))
        began = engine.clock.now()
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.clock.now() - began > timedelta(hours=1)
        assert (engine.launched("first"), engine.launched(), dumps) == (1, 1, 2)
        assert len(await engine.attempts(StepName("backup.handshake.app"))) == handshakes + 1
        told = [entry.data["state"] for entry in await engine.store.history(engine.id)]
        assert told.index("paused") < len(told) - 1 - told[::-1].index("queued")
        assert (await engine.reset()).stops == 0

    run(scenario())


def test_its_services_stay_down_meanwhile_since_half_of_it_is_rebuilt() -> None:
    async def scenario() -> None:
        engine = two_steps({}, quiesce=[Mode.WIPE])
        engine.quiescing.add_application(ENVIRONMENT)
        await engine.ask(Mode.WIPE)
        await until_paused(engine)
        await sweep(engine)
        assert replicas(engine) == 0
        await unfreeze(engine)
        assert (await engine.drive()).state is ResetState.DONE
        assert replicas(engine) == 1

    run(scenario())


def test_what_is_paused_can_be_cancelled() -> None:
    async def scenario() -> None:
        engine = two_steps({})
        await engine.ask()
        await until_paused(engine)
        await engine.act(ActKind.CANCEL)
        assert (await engine.drive()).state is ResetState.CANCELLED
        assert engine.launched() == 0
        assert await engine.store.locks() == ()

    run(scenario())


def test_with_nothing_left_that_writes_it_goes_on_so_that_its_services_come_back() -> None:
    async def scenario() -> None:
        async def work(_: Process) -> int:
            await freeze(engine, seconds=20 * HOUR, at_once=True)
            await engine.restraints.look()
            return 0

        engine = Engine(catalog(), work=work)
        await engine.ask()
        began = engine.clock.now()
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.clock.now() - began < timedelta(hours=1)

    run(scenario())


def test_one_that_has_destroyed_nothing_goes_back_to_the_queue_at_once() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(quiesce=[Mode.WIPE]))
        engine.quiescing.add_application(ENVIRONMENT)

        async def frozen_at_once() -> None:
            await freeze(engine, at_once=True)
            await engine.restraints.look()

        at_first(engine.quiescing, "running", frozen_at_once)
        await engine.ask(Mode.WIPE)
        assert (await engine.drive()).state is ResetState.DONE
        states = [entry.data["state"] for entry in await engine.store.history(engine.id)]
        assert "paused" not in states
        assert states.count("quiescing") > 1
        assert len(await engine.attempts(StepName("backup.app"))) == 1

    run(scenario())
