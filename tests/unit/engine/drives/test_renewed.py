"""A step whose effect lives in a container, and is asked for again because the container is another one."""

from __future__ import annotations

import asyncio
from typing import Any

from schemas.resets import ActKind, ResetState, StepState
from schemas.wire import StepName
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import STEP, Engine, catalog

MODELS = StepName("migrate.app.models")
GENERATE: dict[str, Any] = {
    "name": "models",
    "phase": "migrate",
    "argv": ["generate"],
    "idempotent": "safe",
    "scope": "container",
}


async def generate(process: Process) -> int:  # noqa: ARG001 - a program takes its process
    await asyncio.sleep(60.0)
    return 0


async def asked_for_again(engine: Engine) -> None:
    """The models were generated; then in another container, and the daemon stops meanwhile."""
    await engine.ask()
    await engine.drive_until(lambda: engine.running.get("work", 0) == 1)
    await engine.pods.restart(engine.service)
    await engine.drive_until(lambda: engine.launched("generate") == 2 and engine.running["generate"] == 1)


def test_nothing_of_it_runs_or_is_left_open_in_a_reset_that_is_done_where_who_needed_it_is_skipped() -> None:
    async def scenario() -> None:
        async def work(process: Process) -> int:  # noqa: ARG001
            await asyncio.sleep(600.0)
            return 0

        engine = Engine(catalog(before=GENERATE, skippable=True), generate=generate, work=work)
        await asked_for_again(engine)
        await engine.act(ActKind.SKIP, step=STEP)
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.running["generate"] == 0
        assert (await engine.step(MODELS)).state is StepState.SUCCEEDED
        assert all(one.outcome for one in await engine.attempts(MODELS))

    run(scenario())
