"""While people freeze an environment no reset crosses its first destructive step; one that has crossed it goes on."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, ResetState, StepState
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.resting import quiescing_engine, replicas, sweep
from tests.unit.engine.drives.restraining import (
    HOUR,
    Ahead,
    at_first,
    freeze,
    unfreeze,
    until_recorded_and_not_launched,
    waits,
)
from tests.unit.engine.drives.stand import ENVIRONMENT, Engine, catalog


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
        at_first(engine.quiescing, "running", lambda: freeze(engine))
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
        at_first(engine.pods, "prepare", lambda: freeze(engine))
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
        await until_recorded_and_not_launched(engine)
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
