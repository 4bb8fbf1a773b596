"""A command that nobody can see: it is not run again, nor given up, before it is shown to be gone."""

from __future__ import annotations

import asyncio

from daemon.ports.errors import PermanentError
from schemas.reasons import Reason
from schemas.resets import ActKind, OutcomeKind, ResetState, StepState
from schemas.wire import StepName
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import STEP, Engine, catalog

FORBIDDEN = PermanentError(Reason.KUBERNETES_FORBIDDEN, "could not exec: HTTP 401: credentials refused")


async def working(process: Process) -> int:
    process.write(b"working\n")
    await asyncio.sleep(600.0)
    return 0


async def lost(engine: Engine) -> None:
    """The command runs, and for so long that the daemon gives up looking, it is nobody to the cluster."""
    await engine.ask()
    await engine.drive_until(lambda: engine.running.get("work", 0) == 1)
    engine.pods.refusal = FORBIDDEN
    reset = await engine.drive()
    assert (reset.state, reset.cause) == (ResetState.NEEDS_OPERATOR, Reason.OUTCOME_UNKNOWN)
    assert (await engine.step()).state is StepState.UNKNOWN
    assert engine.running["work"] == 1


def test_credentials_that_are_refused_for_a_moment_leave_a_command_only_out_of_sight() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(), work=working)
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work", 0) == 1)
        engine.pods.refusal = FORBIDDEN
        asyncio.get_running_loop().call_later(30.0, engine.pods.admit)
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.launched() == 1

    run(scenario())


def test_a_step_that_is_resolved_as_failed_and_resumed_never_runs_beside_its_old_attempt() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(), work=working)
        await lost(engine)
        engine.pods.admit()
        await engine.act(ActKind.RESOLVE, step=STEP, outcome=OutcomeKind.FAILED)
        assert (await engine.drive()).state is ResetState.FAILED
        assert engine.running["work"] == 0
        (attempt,) = await engine.attempts()
        assert attempt.outcome
        assert attempt.outcome.kind is OutcomeKind.INTERRUPTED
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert (engine.launched(), engine.overlapped) == (2, set())

    run(scenario())


def test_nothing_is_resolved_while_the_command_may_run_and_the_locks_are_kept() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(), work=working)
        await lost(engine)
        await engine.act(ActKind.RESOLVE, step=STEP, outcome=OutcomeKind.FAILED)
        reset = await engine.drive()
        assert reset.state is ResetState.NEEDS_OPERATOR
        assert "credentials refused" in (reset.detail or "")
        assert reset.hint
        assert [row for row in await engine.store.locks() if row.granted]

    run(scenario())


def test_what_is_seen_running_is_not_resolved_as_succeeded_and_is_left_alone() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(skippable=True), work=working)
        await lost(engine)
        engine.pods.admit()
        await engine.act(ActKind.RESOLVE, step=STEP, outcome=OutcomeKind.SUCCEEDED)
        assert (await engine.drive()).state is ResetState.NEEDS_OPERATOR
        assert engine.running["work"] == 1
        await asyncio.sleep(700.0)
        await engine.act(ActKind.RESOLVE, step=STEP, outcome=OutcomeKind.SUCCEEDED)
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.launched() == 1

    run(scenario())


def test_where_the_cluster_has_no_trace_of_the_container_a_persons_word_counts() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(), work=working)
        await lost(engine)
        engine.pods.admit()
        await engine.pods.remove(engine.service)
        await engine.act(ActKind.RESOLVE, step=STEP, outcome=OutcomeKind.FAILED)
        assert (await engine.drive()).state is ResetState.FAILED

    run(scenario())


def test_a_persons_word_does_not_take_the_place_of_a_database_that_tells_of_a_statement_at_work() -> None:
    """A node that is gone takes all that Kubernetes knew with it, and leaves what its commands had asked for."""

    async def scenario() -> None:
        engine = Engine(catalog(), work=working)
        await lost(engine)
        engine.pods.admit()
        await engine.pods.replace(engine.service)
        engine.database.at_work["prisma (pid 7)"] = engine.clock.now()
        await engine.act(ActKind.RESOLVE, step=STEP, outcome=OutcomeKind.FAILED)
        reset = await engine.drive()
        assert reset.state is ResetState.NEEDS_OPERATOR
        assert "prisma (pid 7)" in (reset.detail or "")
        engine.database.at_work.clear()
        await engine.act(ActKind.RESOLVE, step=STEP, outcome=OutcomeKind.FAILED)
        assert (await engine.drive()).state is ResetState.FAILED

    run(scenario())


def test_a_doubt_that_was_never_settled_stops_a_new_attempt_and_a_cancel() -> None:
    """Whatever made the step pending: here it is the row of a daemon that believed a person's word."""

    async def scenario() -> None:
        engine = Engine(catalog(), work=working)
        await lost(engine)
        await engine.act(ActKind.RESUME)
        await engine.believe(STEP)
        reset = await engine.drive()
        # Nothing is dumped beside a command that may run.
        assert (reset.state, reset.stopped_at) == (ResetState.NEEDS_OPERATOR, "backup.app")
        assert engine.launched() == 1
        await engine.act(ActKind.CANCEL)
        assert (await engine.drive()).state is ResetState.NEEDS_OPERATOR
        engine.pods.admit()
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert (engine.launched(), engine.overlapped) == (2, set())

    run(scenario())


def test_what_a_step_of_a_former_plan_asked_the_databases_for_has_to_end_as_well() -> None:
    """Nobody knows any more which of them it wrote to: a state that was restored has only its launch."""

    async def scenario() -> None:
        engine = Engine(catalog(), work=working)
        await lost(engine)
        engine.pods.admit()
        await engine.forget_step(STEP, as_step=StepName("seed.app.former"))
        await engine.pods.restart(engine.service)
        engine.database.at_work["prisma (pid 7)"] = engine.clock.now()
        await engine.act(ActKind.RESUME)
        reset = await engine.drive()
        assert reset.state is ResetState.FAILED
        assert "prisma (pid 7)" in (reset.detail or "")
        assert engine.launched() == 1
        engine.database.at_work.clear()
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert (engine.launched(), engine.overlapped) == (2, set())

    run(scenario())


def test_a_reset_that_somebody_had_cancelled_does_not_go_on_when_its_doubt_is_resolved() -> None:
    async def scenario() -> None:
        goes_on = asyncio.Event()

        async def work(_: Process) -> int:
            await goes_on.wait()
            return 0

        engine = Engine(catalog(skippable=True), work=work)
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work", 0) == 1)
        await engine.act(ActKind.CANCEL)
        engine.pods.refusal = FORBIDDEN
        assert (await engine.drive()).state is ResetState.NEEDS_OPERATOR
        engine.pods.admit()
        goes_on.set()
        await asyncio.sleep(1.0)
        await engine.act(ActKind.RESOLVE, step=STEP, outcome=OutcomeKind.SUCCEEDED)
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.CANCELLED, Reason.CANCELLED_BY_REQUEST)

    run(scenario())
