"""A resume or a resolve answers a stop: one from before it is about another one, or about none."""

from __future__ import annotations

import asyncio

from schemas.audit import AuditAction
from schemas.reasons import Reason
from schemas.resets import ActKind, ResetState
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import STEP, Engine, catalog


async def failing(_: Process) -> int:
    await asyncio.sleep(5.0)
    return 1


async def resumed_while_it_runs(engine: Engine, times: int = 1) -> ResetState:
    """Where it comes to rest when somebody asks for a resume while the command runs, under the same daemon."""
    driving = asyncio.create_task(engine.drive())
    while not engine.running.get("work"):
        await asyncio.sleep(0.1)
        assert not driving.done()
    for _ in range(times):
        await engine.act(ActKind.RESUME)
    return (await driving).state


async def refused(engine: Engine) -> list[Reason]:
    return [one.code for one in await engine.store.audit() if one.action is AuditAction.RESUME and one.code]


def test_a_resume_from_before_its_step_failed_does_not_run_the_step_again() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(idempotent="never"), work=failing)
        await engine.ask()
        assert await resumed_while_it_runs(engine, 2) is ResetState.FAILED
        assert engine.launched() == 1
        assert await refused(engine) == [Reason.STALE_SEQUENCE] * 2
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.FAILED
        assert engine.launched() == 2

    run(scenario())


def test_a_second_resume_of_the_same_stop_does_not_answer_the_next_one() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(idempotent="never"), work=failing)
        await engine.ask()
        assert (await engine.drive()).state is ResetState.FAILED
        await engine.act(ActKind.RESUME)
        assert await resumed_while_it_runs(engine) is ResetState.FAILED
        assert engine.launched() == 2

    run(scenario())


def test_a_skip_may_come_between_a_stop_and_its_resume() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(idempotent="never", skippable=True), work=failing)
        await engine.ask()
        assert (await engine.drive()).state is ResetState.FAILED
        await engine.act(ActKind.SKIP, step=STEP)
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())
