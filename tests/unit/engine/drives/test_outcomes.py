"""What the end of a command means, and what has to hold before it is launched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from daemon.engine.leased_reset import LeaseDeadline
from daemon.engine.steps.exit_interpreter import ExitInterpreter
from daemon.ports.errors import TemporaryError
from schemas.plan import Phase, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.resets import ActKind, Attempt, Outcome, OutcomeKind, ResetState, StepState
from schemas.wire import AttemptId, ResetId, StepName
from tests.memory.logs import MemoryLogs
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import BEGAN, run
from tests.unit.engine.drives.stand import STEP, Engine, catalog

UNREACHABLE = TemporaryError(Reason.KUBERNETES_UNREACHABLE, "no answer")
PENDING = b"[ ] 9 Later\n"
APPLIED = b"[X] 1 First\n" * 500


def verifying(output: bytes, logs: MemoryLogs | None = None) -> Engine:
    async def look(process: Process) -> int:
        process.write(output)
        return 0

    return Engine(catalog(verify={"argv": ["look"], "failOn": r"^\[ \]"}), logs, look=look)


def test_a_line_that_means_failure_is_found_wherever_it_is_in_the_output() -> None:
    async def scenario() -> None:
        engine = verifying(PENDING + APPLIED)
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.VERIFY_FAILED)
        assert "[ ] 9 Later" in (reset.detail or "")

    run(scenario())


def test_output_of_which_something_was_not_kept_passes_no_check() -> None:
    async def scenario() -> None:
        engine = verifying(APPLIED + PENDING, MemoryLogs(limit=1000))
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.VERIFY_FAILED)

    run(scenario())


def test_a_disk_that_takes_no_more_output_hides_no_end() -> None:
    async def scenario() -> None:
        async def work(process: Process) -> int:
            process.write(b"a line\n")
            await asyncio.sleep(5.0)
            process.write(b"another\n")
            return 0

        logs = MemoryLogs()
        logs.full = True
        engine = Engine(catalog(), logs, work=work)
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        (attempt,) = await engine.attempts()
        assert attempt.finished_at
        assert (attempt.finished_at - attempt.started_at).total_seconds() < 30

    run(scenario())


def test_output_that_the_disk_did_not_take_passes_no_check() -> None:
    async def scenario() -> None:
        logs = MemoryLogs()
        logs.full = True
        engine = verifying(APPLIED, logs)
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.VERIFY_FAILED)

    run(scenario())


def test_a_command_that_had_ended_when_the_daemon_came_back_late_is_not_called_timed_out() -> None:
    async def scenario() -> None:
        async def work(process: Process) -> int:
            await asyncio.sleep(6.0)
            process.write(b"done\n")
            return 0

        engine = Engine(catalog(), work=work)
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work", 0) == 1)
        await asyncio.sleep(2000.0)
        engine.pods.fail("follow", UNREACHABLE)
        assert (await engine.drive()).state is ResetState.DONE
        (attempt,) = await engine.attempts()
        assert attempt.outcome
        assert (attempt.outcome.kind, attempt.outcome.exit_code) == (OutcomeKind.SUCCEEDED, 0)

    run(scenario())


def test_a_command_that_runs_past_its_time_is_stopped_and_says_so() -> None:
    async def scenario() -> None:
        async def work(process: Process) -> int:
            process.write(b"half\n")
            await asyncio.sleep(5000.0)
            return 0

        engine = Engine(catalog(), work=work)
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.COMMAND_TIMED_OUT)
        assert engine.running["work"] == 0

    run(scenario())


def test_a_destructive_command_needs_a_backup_of_each_database_that_it_touches() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(destructive=True))
        engine.forget(lambda step: step.kind is StepKind.BACKUP_DATABASE)
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.BACKUP_UNPROVEN)
        assert engine.launched() == 0
        assert (await engine.step()).state is StepState.FAILED

    run(scenario())


def test_an_attempt_whose_time_was_over_before_its_launch_is_not_started_only_to_be_stopped() -> None:
    async def scenario() -> None:
        async def work(_: Process) -> int:
            await asyncio.sleep(1.0)
            return 0

        engine = Engine(catalog(), work=work)
        await engine.ask()
        # Its lease is over right before the launch: the attempt is recorded, and nothing of it was delivered.
        over = LeaseDeadline(0.0, asked_at=asyncio.get_running_loop().time())
        (claimed,) = await engine.store.claim("one", ttl=6.0, limit=1, excluding=frozenset())
        await engine.driver.drive(claimed, over)
        (recorded,) = await engine.attempts()
        assert (recorded.control is not None, recorded.outcome) == (True, None)
        await asyncio.sleep(20_000.0)
        assert (await engine.drive()).state is ResetState.DONE
        first, second = await engine.attempts()
        assert first.outcome is not None
        assert first.outcome.facts["launched"] is False
        assert "time was over" in (first.outcome.detail or "")
        assert second.outcome is not None
        assert second.outcome.kind is OutcomeKind.SUCCEEDED
        assert engine.launched() == 1

    run(scenario())


def test_a_launch_that_did_not_arrive_is_not_repeated_where_another_database_answers_by_then() -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        for _ in range(3):
            engine.pods.fail("launch", UNREACHABLE)
        await engine.ask()
        driving = asyncio.create_task(engine.drive())
        while not await engine.attempts():  # noqa: ASYNC110 - the store sends no event
            await asyncio.sleep(0.01)
        engine.move_database()
        reset = await driving
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
        assert engine.launched() == 0

    run(scenario())


def test_a_server_that_asks_for_an_hour_of_patience_is_looked_at_again_before() -> None:
    """A gateway under maintenance says so, and is back in a minute; the step's time limit goes on meanwhile."""

    async def scenario() -> None:
        async def work(_: Process) -> int:
            await asyncio.sleep(5.0)
            return 0

        engine = Engine(catalog(), work=work)
        engine.pods.fail("follow", TemporaryError(Reason.KUBERNETES_UNREACHABLE, "busy", delay=3600.0))
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        [attempt] = await engine.attempts()
        assert attempt.finished_at
        assert (attempt.finished_at - attempt.started_at).total_seconds() < 120.0

    run(scenario())


class TestACommandThatFailedByItself:
    """If only a child of it was killed, for want of memory, the server goes on with what that one had asked for."""

    @staticmethod
    def leaving(after: Callable[[Engine], None], code: int = 1) -> Engine:
        async def work(process: Process) -> int:  # noqa: ARG001 - a program takes its process
            engine.database.at_work["prisma (pid 7)"] = engine.clock.now()
            after(engine)
            return code

        engine = Engine(catalog(), work=work)
        return engine

    def test_may_have_left_a_statement_at_work_and_its_outcome_is_unknown(self) -> None:
        async def scenario() -> None:
            engine = self.leaving(lambda _: None)
            await engine.ask()
            assert (await engine.drive()).state is ResetState.NEEDS_OPERATOR
            [attempt] = await engine.attempts()
            assert attempt.outcome
            assert attempt.outcome.kind is OutcomeKind.UNKNOWN
            assert "prisma (pid 7)" in (attempt.outcome.detail or "")

        run(scenario())

    def test_has_failed_once_that_statement_is_over(self) -> None:
        async def scenario() -> None:
            def end_later(engine: Engine) -> None:
                asyncio.get_running_loop().call_later(20.0, engine.database.at_work.clear)

            engine = self.leaving(end_later)
            await engine.ask()
            assert (await engine.drive()).state is ResetState.FAILED
            [attempt] = await engine.attempts()
            assert attempt.finished_at
            assert (attempt.finished_at - attempt.started_at).total_seconds() >= 20.0

        run(scenario())

    def test_has_failed_where_no_database_answers_that_could_say_more(self) -> None:
        async def scenario() -> None:
            engine = self.leaving(lambda engine: setattr(engine.database, "answers", False))
            await engine.ask()
            assert (await engine.drive()).state is ResetState.FAILED
            [attempt] = await engine.attempts()
            assert attempt.finished_at
            assert (attempt.finished_at - attempt.started_at).total_seconds() < 20.0

        run(scenario())

    def test_was_killed_where_its_exit_code_names_a_signal_and_its_databases_have_to_say_more(self) -> None:
        async def scenario() -> None:
            engine = self.leaving(lambda engine: setattr(engine.database, "answers", False), code=137)
            await engine.ask()
            assert (await engine.drive()).state is ResetState.NEEDS_OPERATOR
            engine.database.answers = True
            engine.database.at_work.clear()
            await engine.act(ActKind.RESOLVE, step=STEP, outcome=OutcomeKind.FAILED)
            assert (await engine.drive()).state is ResetState.FAILED

        run(scenario())


def test_h4_much_output_is_judged_while_the_daemon_goes_on() -> None:
    async def scenario() -> None:
        logs, attempt = MemoryLogs(), AttemptId("reset/work/1")
        await logs.keep(attempt, 0, b"... " * 1_000_000)
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async def met(_step: PlannedStep, _attempt: Attempt, outcome: Outcome) -> Outcome:
            return outcome

        step = PlannedStep(
            name=StepName("seed.app.work"),
            phase=Phase.SEED,
            kind=StepKind.COMMAND,
            batch=0,
            argv=("work",),
            fail_on="^Error",
        )
        mine = Attempt(id=attempt, reset_id=ResetId("reset"), step=step.name, number=1, started_at=BEGAN)
        running = asyncio.create_task(others())
        ended = Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0)
        judged = await ExitInterpreter(logs, met).interpret(step, mine, ended)
        running.cancel()
        assert judged.kind is OutcomeKind.SUCCEEDED
        assert turns > 1

    asyncio.run(scenario())
