"""While people freeze an environment no reset crosses its first destructive step; one that has crossed it goes on."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from uuid_utils import uuid7

from schemas.audit import AuditAction, AuditEntry, Verdict
from schemas.freezes import Freeze
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, ResetState, StepState
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import LoopClock, run
from tests.unit.engine.drives.resting import quiescing_engine, replicas, sweep
from tests.unit.engine.drives.stand import ENVIRONMENT, Engine, catalog

HOUR = 3600.0


class Ahead:
    """A clock that was set forward."""

    def __init__(self, right: LoopClock, ahead: timedelta) -> None:
        self._right = right
        self._ahead = ahead

    def now(self) -> datetime:
        return self._right.now() + self._ahead

    async def sleep(self, seconds: float) -> None:
        await self._right.sleep(seconds)


async def freeze(
    engine: Engine, environment: str | None = ENVIRONMENT, seconds: float = HOUR, *, at_once: bool = False
) -> Freeze:
    """A person freezes an environment, or all of them."""
    now = engine.store._clock.now()
    given = Freeze(
        id=str(uuid7()),
        environment=environment,
        now=at_once,
        reason="month's end",
        given_by="olga",
        given_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
    await engine.store.freeze(given, line(engine, AuditAction.FREEZE))
    return given


async def unfreeze(engine: Engine, environment: str | None = ENVIRONMENT) -> None:
    await engine.store.unfreeze(environment, line(engine, AuditAction.UNFREEZE))


def line(engine: Engine, action: AuditAction) -> AuditEntry:
    return AuditEntry(
        chain="resetd",
        at=engine.clock.now(),
        action=action,
        verdict=Verdict.APPLIED,
        actor="olga",
        channel="http",
    )


async def waits(engine: Engine) -> str:
    """Drive until the reset waits, and say for what."""

    async def seen() -> bool:
        reset = await engine.reset()
        return reset.state is ResetState.QUEUED and reset.waiting_for is not None

    driving = asyncio.create_task(engine.drive())
    while not await seen():
        await asyncio.sleep(0.5)
        assert not driving.done(), f"it came to rest: {driving.result()}"
    driving.cancel()
    await asyncio.gather(driving, return_exceptions=True)
    waiting = (await engine.reset()).waiting_for
    assert waiting is not None
    return f"{waiting.reason}: {waiting.detail}"


@pytest.mark.parametrize("environment", [None, ENVIRONMENT])
def test_a_reset_waits_in_the_queue_without_locks_and_says_for_what(environment: str | None) -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        given = await freeze(engine, environment)
        await engine.ask()
        said = await waits(engine)
        scope = environment or "all environments"
        assert said == f"freeze: olga froze {scope} until {given.expires_at.isoformat()}: month's end"
        assert await engine.store.locks() == ()
        told = [
            entry.data.get("waitingFor", {}).get("reason") for entry in await engine.store.history(engine.id)
        ]
        assert "freeze" in told
        began = engine.clock.now()
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.clock.now() - began >= timedelta(minutes=58)
        assert engine.launched() == 1

    run(scenario())


def test_one_that_concerns_others_leaves_it_alone() -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        await freeze(engine, "other-sandbox", 10 * HOUR)
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.clock.now() - engine.store._clock.now() < timedelta(hours=1)

    run(scenario())


def test_a_person_ends_it_before_its_time() -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        await freeze(engine, seconds=20 * HOUR)
        await engine.ask()
        await waits(engine)
        await unfreeze(engine)
        began = engine.clock.now()
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.clock.now() - began < timedelta(minutes=5)

    run(scenario())


def test_one_that_has_begun_backing_up_goes_back_to_the_queue_and_dumps_again_when_the_freeze_is_over() -> (
    None
):
    async def scenario() -> None:
        engine = Engine(catalog())
        dump, dumps = engine.backups.dump, 0

        async def dumped(*arguments: object, **named: object) -> object:
            nonlocal dumps
            dumps += 1
            if dumps == 1:
                await freeze(engine)
            return await dump(*arguments, **named)  # type: ignore[arg-type]

        engine.backups.dump = dumped  # type: ignore[method-assign, assignment]
        await engine.ask()
        assert (await waits(engine)).startswith("freeze")
        reset = await engine.reset()
        assert not reset.destroyed
        assert await engine.store.locks() == ()
        assert engine.launched() == 0
        assert (await engine.drive()).state is ResetState.DONE
        assert dumps == 2

    run(scenario())


def test_its_services_come_back_meanwhile_and_rest_again_afterwards() -> None:
    async def scenario() -> None:
        engine = quiescing_engine()
        seen: list[int] = []

        async def work(_: Process) -> int:
            seen.append(replicas(engine))
            return 0

        engine.programs["work"] = work
        find, frozen = engine.quiescing.running, False

        async def running(*arguments: object) -> object:
            nonlocal frozen
            if not frozen:
                frozen = True
                await freeze(engine)
            return await find(*arguments)  # type: ignore[arg-type]

        engine.quiescing.running = running  # type: ignore[method-assign, assignment]
        await engine.ask(Mode.WIPE)
        assert (await waits(engine)).startswith("freeze")
        await sweep(engine)
        assert replicas(engine) == 1
        assert (await engine.drive()).state is ResetState.DONE
        assert (seen, replicas(engine)) == ([0], 1)

    run(scenario())


def test_a_freeze_in_the_very_moment_before_the_record_lets_nothing_be_recorded() -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        started = engine.pods.prepare
        frozen = False

        async def prepare(*arguments: object) -> object:
            nonlocal frozen
            if not frozen:
                frozen = True
                await freeze(engine)
            return await started(*arguments)  # type: ignore[arg-type]

        engine.pods.prepare = prepare  # type: ignore[method-assign, assignment]
        await engine.ask()
        assert (await waits(engine)).startswith("freeze")
        assert await engine.attempts() == []
        assert not (await engine.reset()).destroyed
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.launched() == 1

    run(scenario())


def test_an_attempt_that_was_recorded_and_never_launched_is_given_up_and_nothing_counts_as_destroyed() -> (
    None
):
    async def scenario() -> None:
        engine = Engine(catalog())
        launch, asked = engine.pods.launch, 0

        async def never(*_: object) -> None:
            nonlocal asked
            asked += 1
            await asyncio.sleep(10 * HOUR)

        engine.pods.launch = never  # type: ignore[method-assign, assignment]
        await engine.ask()
        await engine.drive_until(lambda: asked == 1)
        engine.pods.launch = launch  # type: ignore[method-assign]
        assert (await engine.reset()).destroyed
        await freeze(engine)
        assert (await waits(engine)).startswith("freeze")
        reset = await engine.reset()
        assert (reset.destroyed, reset.consent_spent) == (False, False)
        [attempt] = await engine.attempts()
        assert attempt.outcome is not None
        assert (attempt.outcome.cause, attempt.outcome.facts) == (Reason.FROZEN, {"launched": False})
        assert (await engine.step()).state is StepState.PENDING
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.launched() == 1
        assert len(await engine.attempts()) == 2

    run(scenario())


def test_what_runs_goes_on_and_so_does_its_reset_after_a_stop() -> None:
    async def scenario() -> None:
        mended = False

        async def work(_: Process) -> int:
            await asyncio.sleep(60.0)
            return 0 if mended else 1

        engine = Engine(catalog(), work=work)
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work", 0) == 1)
        await freeze(engine, seconds=20 * HOUR)
        assert (await engine.drive()).state is ResetState.FAILED
        mended = True
        await engine.act(ActKind.RESUME)
        began = engine.clock.now()
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.clock.now() - began < timedelta(hours=1)

    run(scenario())


@pytest.mark.parametrize("whose", ["store", "worker", "both"])
def test_a_clock_that_is_set_forward_over_its_end_lets_nothing_through(whose: str) -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        given = await freeze(engine, seconds=2 * HOUR)
        await engine.ask()
        assert (await waits(engine)).startswith("freeze")
        began = engine.clock.now()
        ahead = timedelta(hours=3)

        if whose in {"store", "both"}:
            engine.store._clock = Ahead(engine.clock, ahead)
        if whose in {"worker", "both"}:
            engine.restraints._clock = Ahead(engine.clock, ahead)
        driving = asyncio.create_task(engine.drive())
        await asyncio.sleep(HOUR)
        assert engine.launched() == 0
        assert (await engine.reset()).state is ResetState.QUEUED
        engine.store._clock = engine.restraints._clock = engine.clock
        assert (await driving).state is ResetState.DONE
        assert engine.clock.now() >= given.expires_at > began

    run(scenario())
