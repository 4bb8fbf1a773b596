"""A maintenance window bounds the first destructive step, and never stops what runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from schemas.reasons import Reason
from schemas.resets import ActKind, ResetState
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import BEGAN, run
from tests.unit.engine.drives.restraining import HOUR, until_recorded_and_not_launched, waits
from tests.unit.engine.drives.stand import ENVIRONMENT, Engine, catalog

PROTECTED = {"protected": True, "approvers": 1, "approversUnattended": 2}


def night(opens: str = "0 3 * * *", minutes: int = 60, of: str = "qa-*") -> dict[str, Any]:
    """A window in Kolkata, where 03:00 is 21:30 UTC of the day before."""
    return {
        "name": "night",
        "environments": [of],
        "opens": opens,
        "durationMinutes": minutes,
        "timeZone": "Asia/Kolkata",
    }


OPENS = BEGAN + timedelta(hours=21, minutes=30)
"""When `night` opens first."""


def test_a_reset_waits_for_its_window_and_says_for_which() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(windows=[night()]))
        await engine.ask()
        said = await waits(engine)
        assert said == "window: the window night, from 2026-01-02 03:00 IST to 2026-01-02 04:00 IST"
        assert await engine.store.locks() == ()
        waiting = (await engine.reset()).waiting_for
        assert waiting is not None
        assert waiting.until == OPENS
        assert (await engine.drive()).state is ResetState.DONE
        assert OPENS <= engine.clock.now() < OPENS + timedelta(minutes=10)

    run(scenario())


def test_other_environments_and_plans_wait_for_none() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(windows=[night(of="los-*")]))
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        dry = Engine(catalog(windows=[night()]))
        await dry.ask(dry_run=True)
        assert (await dry.drive()).state is ResetState.PLANNED
        assert engine.clock.now() < BEGAN + timedelta(hours=1)

    run(scenario())


def test_what_runs_when_it_closes_goes_on() -> None:
    async def scenario() -> None:
        async def work(_: Process) -> int:
            await asyncio.sleep(600.0)
            return 0

        engine = Engine(catalog(windows=[night("30 5 * * *", 5)]), work=work)
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.clock.now() < BEGAN + timedelta(minutes=20)

    run(scenario())


def test_one_whose_dumps_outlast_the_window_goes_back_to_the_queue_for_the_next_one() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(windows=[night("30 5,8 * * *", 5)]))
        dump, dumps = engine.backups.dump, 0

        async def slow(*arguments: object, **named: object) -> object:
            nonlocal dumps
            dumps += 1
            await asyncio.sleep(HOUR if dumps == 1 else 1.0)
            return await dump(*arguments, **named)  # type: ignore[arg-type]

        engine.backups.dump = slow  # type: ignore[method-assign, assignment]
        await engine.ask()
        assert (await waits(engine)).startswith("window: the window night, from 2026-01-01 08:30 IST")
        assert not (await engine.reset()).destroyed
        assert (await engine.drive()).state is ResetState.DONE
        assert (dumps, engine.launched()) == (2, 1)
        assert engine.clock.now() >= BEGAN + timedelta(hours=3)

    run(scenario())


def test_an_attempt_that_was_never_launched_is_given_up_once_the_window_has_closed() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(windows=[night("30 5 * * *", 5)]))
        await until_recorded_and_not_launched(engine)
        await asyncio.sleep(600.0)
        assert (await waits(engine)).startswith("window")
        [attempt] = await engine.attempts()
        assert attempt.outcome is not None
        assert attempt.outcome.cause is Reason.OUTSIDE_WINDOW
        assert not (await engine.reset()).destroyed

    run(scenario())


def test_people_agree_for_the_window_and_until_an_hour_after_its_start() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(windows=[night(minutes=120)], kind=PROTECTED))
        await engine.ask()
        driving = asyncio.create_task(engine.drive())
        while (await engine.reset()).waiting_for is None:  # noqa: ASYNC110 - the store sends no event
            await asyncio.sleep(0.5)
        asked = await engine.reset()
        assert asked.state is ResetState.AWAITING_APPROVAL
        assert asked.approval_expires_at == OPENS + timedelta(hours=1)
        assert asked.waiting_for is not None
        assert "for the window night, from 2026-01-02 03:00 IST" in asked.waiting_for.detail
        await engine.act(ActKind.APPROVE, "pat", plan_hash=asked.plan_hash)
        await asyncio.sleep(10.0)
        agreed = await engine.reset()
        assert (agreed.state, agreed.approval_expires_at) == (
            ResetState.QUEUED,
            OPENS + timedelta(hours=1),
        )
        assert (await driving).state is ResetState.DONE
        assert engine.clock.now() >= OPENS
        assert agreed.environment == ENVIRONMENT

    run(scenario())
