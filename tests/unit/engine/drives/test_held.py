"""While a person holds an environment its resets wait in the queue; its end is told before it comes."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from uuid_utils import uuid7

from daemon.engine.high_water import HighWater
from daemon.engine.sweepers.restraints import RestraintSweeper
from schemas.audit import AuditAction
from schemas.holds import Hold, KeptHold
from schemas.resets import ResetState
from schemas.wire import ResourceKey
from statemachines.history.hold_record import HOLD_ENDING
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.restraining import HOUR, Ahead, line, waits
from tests.unit.engine.drives.stand import ENVIRONMENT, Engine, catalog

DATABASE = ResourceKey("database/7001/app")


async def hold(
    engine: Engine,
    environment: str = ENVIRONMENT,
    *keys: ResourceKey,
    seconds: float = HOUR,
    after: bool = False,
) -> KeptHold | None:
    now = engine.clock.now()
    asked = Hold(
        id=str(uuid7()),
        environment=environment,
        keys=keys,
        reason="a demo",
        holder="olga",
        asked_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
    return (await engine.store.hold(asked, line(engine, AuditAction.HOLD), after=after)).given


def sweeper(engine: Engine) -> RestraintSweeper:
    high_water = HighWater(engine.store, engine.marks, engine.clock)
    return RestraintSweeper(engine.restraints, engine.store, engine.clock, high_water, "status")


@pytest.mark.parametrize(
    ("environment", "keys"), [(ENVIRONMENT, ()), ("other-sandbox", (DATABASE,)), (ENVIRONMENT, (DATABASE,))]
)
def test_a_reset_waits_and_says_for_whom_until_when_and_why(
    environment: str, keys: tuple[ResourceKey, ...]
) -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        held = await hold(engine, environment, *keys)
        assert held is not None
        await engine.ask()
        said = await waits(engine)
        assert said == f"hold: olga holds {environment} until {held.expires_at.isoformat()}: a demo"
        waiting = (await engine.reset()).waiting_for
        assert waiting is not None
        assert (waiting.until, waiting.resources) == (held.expires_at, keys)
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.clock.now() >= held.expires_at
        assert engine.launched() == 1

    run(scenario())


def test_a_plan_is_still_answered() -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        await hold(engine, seconds=20 * HOUR)
        await engine.ask(dry_run=True)
        assert (await engine.drive()).state is ResetState.PLANNED
        assert engine.clock.now() < engine.store._clock.now() + timedelta(minutes=5)

    run(scenario())


def test_what_runs_keeps_its_locks_and_the_person_comes_next() -> None:
    async def scenario() -> None:
        async def work(_: Process) -> int:
            await asyncio.sleep(600.0)
            return 0

        engine = Engine(catalog(), work=work)
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work", 0) == 1)
        assert await hold(engine) is None
        waiting = await hold(engine, after=True)
        assert waiting is not None
        await sweeper(engine).sweep()
        (standing,) = await engine.store.holds()
        assert (standing.hold.granted_at, standing.at_work) == (None, (engine.id,))
        assert (await engine.drive()).state is ResetState.DONE
        await sweeper(engine).sweep()
        (standing,) = await engine.store.holds()
        assert standing.hold.granted_at is not None

    run(scenario())


def test_its_end_is_told_fifteen_minutes_before_with_the_resets_that_start_then() -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        held = await hold(engine)
        assert held is not None
        await engine.ask()
        await waits(engine)
        sweeping = sweeper(engine)

        async def told() -> list[dict[str, object]]:
            await sweeping.sweep()
            rows = await engine.store.unpublished(1000)
            messages = [
                row.message for row in rows if dict(row.message.headers)["ce_type"] == HOLD_ENDING.encode()
            ]
            assert all(message.key == ENVIRONMENT.encode() for message in messages)
            return [json.loads(message.value or b"") for message in messages]

        await asyncio.sleep(44 * 60.0)
        assert await told() == []
        await asyncio.sleep(90.0)
        [said] = await told()
        assert (said["environment"], said["holder"], said["reason"]) == (ENVIRONMENT, "olga", "a demo")
        assert said["resets"] == [{"resetId": engine.id, "environment": ENVIRONMENT, "number": 1}]
        assert len(await told()) == 1
        await asyncio.sleep(HOUR)
        assert len(await told()) == 1
        assert [each.remaining > 0 for each in await engine.store.holds()] == [False]

    run(scenario())


def test_a_clock_that_is_set_forward_over_its_end_lets_nothing_through() -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        held = await hold(engine, seconds=2 * HOUR)
        assert held is not None
        await engine.ask()
        await waits(engine)
        sweeping = sweeper(engine)
        await sweeping.sweep()
        engine.store._clock = engine.restraints._clock = Ahead(engine.clock, timedelta(hours=3))
        driving = asyncio.create_task(engine.drive())
        await asyncio.sleep(HOUR)
        await sweeping.sweep()
        await asyncio.sleep(60.0)
        assert engine.launched() == 0
        assert (await engine.reset()).state is ResetState.QUEUED
        engine.store._clock = engine.restraints._clock = engine.clock
        assert (await driving).state is ResetState.DONE
        assert engine.clock.now() >= held.expires_at

    run(scenario())
