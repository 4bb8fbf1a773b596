"""The daemon looks into the database itself before it calls a step done, whatever the command says of itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.reasons import Reason
from schemas.resets import ActKind, OutcomeKind, ResetState, StepState
from schemas.wire import StepName
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

ROLES = {"rows": {"table": ["roles"], "atLeast": 2}}
MAPPINGS = {"unchanged": {"table": ["mappings"]}}
VERIFY_ROWS = StepName("verify.app.rows")


async def succeed(_process: Process) -> int:
    return 0


def seeding(engine: Engine, *rows: str) -> Engine:
    """Let the command write these rows."""

    async def seed(_process: Process) -> int:
        engine.database.tables["roles"] = list(rows)
        return 0

    engine.programs["work"] = seed
    return engine


def test_a1_a_command_that_exits_0_and_leaves_nothing_has_failed_with_expected_and_found() -> None:
    async def scenario() -> None:
        engine = seeding(Engine(catalog(checks=[ROLES])), "admin")
        await engine.ask()
        failed = await engine.drive()
        assert (failed.state, failed.cause) == (ResetState.FAILED, Reason.CHECK_NOT_MET)
        assert failed.detail == "app: expected at least 2 rows in roles, found 1"
        (attempt,) = await engine.attempts()
        assert attempt.outcome is not None
        assert (attempt.outcome.kind, attempt.outcome.exit_code) == (OutcomeKind.FAILED, 0)
        seeding(engine, "admin", "viewer")
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.launched() == 2
        assert engine.contents.open_now == 0

    run(scenario())


def test_what_a_step_promised_is_looked_for_at_the_end_again() -> None:
    async def scenario() -> None:
        engine = seeding(Engine(catalog(checks=[ROLES], verify={"argv": ["spoil"]})), "admin", "viewer")
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        assert (await engine.step(VERIFY_ROWS)).state is StepState.SUCCEEDED

    run(scenario())


def test_what_a_skipped_step_promised_is_not_asked_for() -> None:
    async def scenario() -> None:
        engine = seeding(Engine(catalog(checks=[ROLES], skippable=True)))
        await engine.ask()
        assert (await engine.drive()).state is ResetState.FAILED
        await engine.act(ActKind.SKIP, step=StepName("seed.app.work"))
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_a_daemon_that_dies_before_it_looked_looks_when_it_finds_the_command_again() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(checks=[ROLES]))

        async def slow(_process: Process) -> int:
            await asyncio.sleep(30)
            return 0

        engine.programs["work"] = slow
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work") == 1)
        failed = await engine.drive()
        assert (failed.state, failed.cause) == (ResetState.FAILED, Reason.CHECK_NOT_MET)
        assert engine.launched() == 1

    run(scenario())


def test_a_database_that_does_not_answer_is_asked_again_once_the_command_ended_well() -> None:
    async def scenario() -> None:
        engine = seeding(Engine(catalog(checks=[ROLES])), "admin", "viewer")
        seed = engine.programs["work"]

        async def seed_and_vanish(process: Process) -> int:
            await seed(process)
            engine.database.answers = False
            return 0

        engine.programs["work"] = seed_and_vanish
        await engine.ask()

        async def come_back() -> None:
            await asyncio.sleep(20)
            engine.database.answers = True

        back = asyncio.create_task(come_back())
        assert (await engine.drive()).state is ResetState.DONE
        await back
        assert engine.launched() == 1

    run(scenario())


def test_a_command_whose_check_can_not_be_asked_is_not_called_done() -> None:
    async def scenario() -> None:
        engine = seeding(Engine(catalog(checks=[ROLES], idempotent="never")), "admin", "viewer")
        seed = engine.programs["work"]

        async def seed_and_move(process: Process) -> int:
            await seed(process)
            engine.move_database()
            return 0

        engine.programs["work"] = seed_and_move
        await engine.ask()
        failed = await engine.drive()
        assert (failed.state, failed.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
        assert "can't tell" in (failed.detail or "")

    run(scenario())


def test_a_check_that_says_that_nothing_is_left_does_not_stand_for_what_the_step_promised() -> None:
    async def scenario() -> None:
        step: dict[str, Any] = {"idempotent": "rerun-after-check", "check": ["check"], "checks": [ROLES]}
        engine = Engine(catalog(**step))

        async def broken(_process: Process) -> int:
            return 1

        async def nothing_left(_process: Process) -> int:
            return 99

        engine.programs.update(work=broken, check=nothing_left)
        await engine.ask()
        assert (await engine.drive()).cause is Reason.COMMAND_FAILED
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).cause is Reason.CHECK_NOT_MET

    run(scenario())


@pytest.mark.parametrize("lost", [False, True])
def test_a_check_that_says_that_nothing_is_left_compares_with_what_an_earlier_attempt_recorded(
    lost: bool,
) -> None:
    async def scenario() -> None:
        step: dict[str, Any] = {"idempotent": "rerun-after-check", "check": ["check"], "checks": [MAPPINGS]}
        engine = Engine(catalog(**step))
        engine.database.tables["mappings"] = ["dana", "eli"]

        async def broken(_process: Process) -> int:
            if lost:
                engine.database.tables["mappings"] = ["dana"]
            return 1

        async def nothing_left(_process: Process) -> int:
            return 99

        engine.programs.update(work=broken, check=nothing_left)
        await engine.ask()
        assert (await engine.drive()).cause is Reason.COMMAND_FAILED
        await engine.act(ActKind.RESUME)
        ended = await engine.drive()
        assert engine.launched() == 1
        if lost:
            assert ended.detail == "app: expected mappings as before the command (2 rows), found 1 rows"
        else:
            assert (ended.state, ended.cause) == (ResetState.DONE, None)

    run(scenario())


def test_what_has_to_survive_is_recorded_before_the_launch_and_compared_by_whoever_resumes() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(checks=[MAPPINGS]))
        engine.database.tables["mappings"] = ["dana", "eli"]

        async def lose(_process: Process) -> int:
            engine.database.tables["mappings"] = ["dana"]
            await asyncio.sleep(30)
            return 0

        engine.programs["work"] = lose
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work") == 1)
        (attempt,) = await engine.attempts()
        assert (attempt.baseline or {})["unchanged app mappings"]["rows"] == 2
        failed = await engine.drive()
        assert failed.cause is Reason.CHECK_NOT_MET
        assert failed.detail == "app: expected mappings as before the command (2 rows), found 1 rows"

    run(scenario())


def test_what_a_failed_attempt_lost_is_not_the_baseline_of_the_next_one() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(checks=[MAPPINGS]))
        engine.database.tables["mappings"] = ["dana"]

        async def lose_and_break(process: Process) -> int:
            engine.database.tables["mappings"] = []
            process.write(b"P1001\n")
            engine.programs["work"] = succeed
            return 1

        engine.programs["work"] = lose_and_break
        await engine.ask()
        assert (await engine.drive()).cause is Reason.CHECK_NOT_MET
        assert engine.launched() == 2
        # A person was told, and asks for the step again: what is there now counts.
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_a_cancelled_command_that_had_ended_well_is_looked_at_as_well() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(checks=[ROLES]))

        async def slow(_process: Process) -> int:
            await asyncio.sleep(5)
            return 0

        engine.programs["work"] = slow
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work") == 1)
        await asyncio.sleep(10)
        await engine.act(ActKind.CANCEL)
        assert (await engine.drive()).state is ResetState.CANCELLED
        assert (await engine.step()).state is StepState.FAILED

    run(scenario())
