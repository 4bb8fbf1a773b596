"""What a cancelled reset makes of a command that had ended before anybody could stop it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason
from schemas.resets import ActKind, OutcomeKind, ResetState, StepState
from schemas.wire import StepName
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

VERIFY = StepName("verify.app")
LONG = b"a line\n" * 100


async def at_work_for_long() -> Engine:
    """Its command runs for ten minutes more, and nobody drives the reset."""

    async def work(process: Process) -> int:  # noqa: ARG001 - a program takes its process
        await asyncio.sleep(600.0)
        return 0

    engine = Engine(catalog(), work=work)
    await engine.ask()
    await engine.drive_until(lambda: engine.running.get("work", 0) == 1)
    return engine


async def cancelled_while_nobody_looks(engine: Engine, word: str) -> None:
    """The daemon stops while the command runs; it ends by itself; the daemon finds the act first."""
    await engine.ask()
    await engine.drive_until(lambda: engine.running.get(word, 0) == 1)
    await engine.act(ActKind.CANCEL)
    while engine.running[word]:  # noqa: ASYNC110 - programs send no event
        await asyncio.sleep(1.0)
    assert (await engine.drive()).state is ResetState.CANCELLED


def test_a_repetition_that_ended_is_no_success_of_the_step_and_goes_on_after_a_resume() -> None:
    async def scenario() -> None:
        applied = 3

        async def revert(process: Process) -> int:
            nonlocal applied
            await asyncio.sleep(6.0)
            process.write(b"Reverted one\n" if applied else b"Nothing to revert!\n")
            applied = max(applied - 1, 0)
            return 0

        async def show(process: Process) -> int:
            process.write(b"[X] one\n" * applied + b"[ ] another\n")
            return 0

        repeat = {"until": "Nothing to revert!", "bound": ["show"]}
        engine = Engine(catalog(repeatUntil=repeat), work=revert, show=show)
        await cancelled_while_nobody_looks(engine, "work")
        step = await engine.step()
        assert (step.state, applied) == (StepState.PENDING, 2)
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert applied == 0
        assert "work" not in engine.overlapped

    run(scenario())


def test_a_check_whose_output_means_failure_has_not_passed_and_its_output_is_kept() -> None:
    async def scenario() -> None:
        async def look(process: Process) -> int:
            process.write(LONG)
            await asyncio.sleep(6.0)
            process.write(b"[ ] pending\n")
            return 0

        engine = Engine(catalog(verify={"argv": ["look"], "failOn": r"^\[ \]"}), look=look)
        await cancelled_while_nobody_looks(engine, "look")
        step = await engine.step(VERIFY)
        assert step.state is StepState.FAILED
        assert step.outcome
        assert step.outcome.exit_code == 0
        (attempt,) = await engine.attempts(VERIFY)
        assert "[ ] pending" in await engine.logs.tail(attempt.id, 1)

    run(scenario())


def test_a_command_that_ended_well_before_it_could_be_stopped_has_succeeded() -> None:
    async def scenario() -> None:
        async def work(process: Process) -> int:
            await asyncio.sleep(6.0)
            process.write(b"done\n")
            return 0

        engine = Engine(catalog(), work=work)
        await cancelled_while_nobody_looks(engine, "work")
        step = await engine.step()
        assert step.state is StepState.SUCCEEDED
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.launched() == 1

    run(scenario())


@pytest.mark.parametrize("asked", ["give_up", "gone", "follow"])
def test_nor_does_a_question_that_was_cut_off_make_a_stopped_one_of_it(asked: str) -> None:
    async def scenario() -> None:
        async def work(process: Process) -> int:  # noqa: ARG001 - a program takes its process
            await asyncio.sleep(6.0)
            engine.pods.fail(asked, TemporaryError(Reason.KUBERNETES_UNREACHABLE, "the stream was cut"))
            return 0

        engine = Engine(catalog(idempotent="never"), work=work)
        await cancelled_while_nobody_looks(engine, "work")
        assert (await engine.step()).state is StepState.SUCCEEDED
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.launched() == 1

    run(scenario())


def test_a_program_that_ends_with_0_when_it_is_asked_to_stop_has_not_succeeded() -> None:
    async def scenario() -> None:
        async def work(process: Process) -> int:  # noqa: ARG001 - a program takes its process
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(600.0)
            return 0

        engine = Engine(catalog(), work=work)
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work", 0) == 1)
        await engine.act(ActKind.CANCEL)
        assert (await engine.drive()).state is ResetState.CANCELLED
        assert (await engine.step()).state is StepState.FAILED

    run(scenario())


def test_a_command_that_was_stopped_is_known_to_be_interrupted() -> None:
    async def scenario() -> None:
        engine = await at_work_for_long()
        await engine.act(ActKind.CANCEL)
        assert (await engine.drive()).state is ResetState.CANCELLED
        step = await engine.step()
        assert step.state is StepState.FAILED
        assert step.outcome
        assert step.outcome.kind is OutcomeKind.INTERRUPTED
        assert engine.running["work"] == 0

    run(scenario())


@pytest.mark.parametrize("asked", ["give_up", "gone", "stop"])
def test_a_question_that_the_cluster_does_not_answer_for_a_moment_is_asked_again(asked: str) -> None:
    async def scenario() -> None:
        engine = await at_work_for_long()
        engine.pods.fail(asked, TemporaryError(Reason.KUBERNETES_UNREACHABLE, "its stream was cut"))
        await engine.act(ActKind.CANCEL)
        assert (await engine.drive()).state is ResetState.CANCELLED
        assert engine.running["work"] == 0

    run(scenario())


def test_where_the_cluster_answers_no_more_a_person_is_called_before_long() -> None:
    async def scenario() -> None:
        engine = await at_work_for_long()
        engine.pods.refusal = TemporaryError(Reason.KUBERNETES_UNREACHABLE, "no route to host")
        begun = engine.clock.now()
        await engine.act(ActKind.CANCEL)
        assert (await engine.drive()).state is ResetState.NEEDS_OPERATOR
        assert engine.clock.now() - begun < timedelta(seconds=90)

    run(scenario())


def test_a_server_that_asks_for_an_hour_of_patience_is_asked_again_before_a_person_is_called() -> None:
    async def scenario() -> None:
        engine = await at_work_for_long()
        await engine.act(ActKind.CANCEL)
        engine.pods.fail("give_up", TemporaryError(Reason.KUBERNETES_UNREACHABLE, "busy", delay=3600.0))
        assert (await engine.drive()).state is ResetState.CANCELLED
        assert engine.running["work"] == 0

    run(scenario())
