"""A seed without a check has to leave a sign in its database: exit code 0 alone is no answer.

Over 300 lines: one stand of a seed without a check, and all that may be a sign of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from daemon.ports.databases import Session
from schemas.plan import Phase
from schemas.reasons import Reason
from schemas.resets import ActKind, OutcomeKind, ResetState, StepState
from statemachines.steps.session_names import session_name
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import STEP, Engine, catalog

UNCHANGED = {"unchanged": {"table": ["mappings"], "absent": "tell"}}


def silent(**step: Any) -> Engine:  # noqa: ANN401 - YAML
    """An engine whose only command leaves no sign by itself."""
    engine = Engine(catalog(**step))
    engine.silent.add("work")
    return engine


def session(pid: int, role: str = "app", application: str = "") -> Session:
    return Session(pid, role, application, "10.0.0.7", hidden=False, writes=True, since=None)


def connecting(engine: Engine, one: Session, *, seconds: float = 2.0) -> Callable[[Process], Awaitable[int]]:
    """A command that is connected for a while, and writes nothing."""

    async def read(_process: Process) -> int:
        engine.database.sessions.append(one)
        await asyncio.sleep(seconds)
        engine.database.sessions.remove(one)
        return 0

    return read


async def slow(_process: Process) -> int:
    await asyncio.sleep(30)
    return 0


@pytest.mark.parametrize("checks", [[], [UNCHANGED]])
def test_a1_a_seed_without_a_check_that_leaves_no_sign_is_not_called_done(checks: list[object]) -> None:
    async def scenario() -> None:
        engine = silent(checks=checks, skippable=True)
        await engine.ask()
        failed = await engine.drive()
        assert (failed.state, failed.cause) == (ResetState.FAILED, Reason.SEED_NOT_SEEN)
        assert "can't tell" in (failed.detail or "")
        assert "checks" in (failed.hint or "")
        (attempt,) = await engine.attempts()
        assert attempt.outcome is not None
        assert (attempt.outcome.kind, attempt.outcome.exit_code) == (OutcomeKind.FAILED, 0)
        assert engine.launched() == 1
        # A person who knows better may go on without it; nothing runs again.
        await engine.act(ActKind.SKIP, step=STEP)
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.launched() == 1

    run(scenario())


def test_rows_that_were_written_in_an_instant_are_a_sign() -> None:
    async def scenario() -> None:
        engine = silent()

        async def write(_process: Process) -> int:
            engine.database.tables["roles"] = ["admin"]
            return 0

        engine.programs["work"] = write
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        assert "1 written rows" in (await shown_by(engine))

    run(scenario())


def test_rows_that_are_reported_a_moment_after_the_end_are_a_sign() -> None:
    async def scenario() -> None:
        engine = silent()

        async def write(_process: Process) -> int:
            asyncio.get_running_loop().call_later(2.0, lambda: setattr(engine.database, "written", 1))
            return 0

        engine.programs["work"] = write
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


@pytest.mark.parametrize("role", ["app", "migrator"])
def test_a_seed_that_only_reads_is_shown_by_its_session(role: str) -> None:
    async def scenario() -> None:
        engine = silent()
        engine.programs["work"] = connecting(engine, session(4711, role))
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        assert f"a session of {role} that began after the launch (pid 4711)" in (await shown_by(engine))

    run(scenario())


def test_a_session_of_the_attempt_in_a_server_that_was_started_again_is_no_sign_in_the_one_that_was_dumped() -> (
    None
):
    async def scenario() -> None:
        engine = silent()

        async def read(process: Process) -> int:
            assert process.attempt is not None
            engine.database.restart()
            engine.database.sessions.append(session(1, application=session_name(process.attempt)))
            await asyncio.sleep(2)
            return 0

        engine.programs["work"] = read
        await engine.ask()
        failed = await engine.drive()
        assert (failed.state, failed.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
        assert "can't tell" in (failed.detail or "")

    run(scenario())


def test_the_standing_pool_of_the_service_is_no_sign_of_the_seed() -> None:
    async def scenario() -> None:
        engine = silent()
        engine.programs["work"] = slow
        # The pool of another role has workers, whose kind the server hides.
        engine.database.sessions += [session(10), session(11), session(12, "other", "bi")]
        await engine.ask()

        async def work() -> None:
            await asyncio.sleep(10)
            engine.database.sessions.append(session(13, "other", "bi"))

        working = asyncio.create_task(work())
        assert (await engine.drive()).cause is Reason.SEED_NOT_SEEN
        await working

    run(scenario())


def test_sessions_and_counts_of_a_server_that_was_started_again_are_no_sign() -> None:
    async def scenario() -> None:
        engine = silent()
        engine.database.sessions.append(session(10))

        async def restart(_process: Process) -> int:
            engine.database.restart()
            engine.database.written = 100
            engine.database.sessions[:] = [session(20)]
            await asyncio.sleep(5)
            return 0

        engine.programs["work"] = restart
        await engine.ask()
        assert (await engine.drive()).cause is Reason.SEED_NOT_SEEN
        assert engine.launched() == 1

    run(scenario())


def test_what_was_there_and_what_was_seen_outlives_the_daemon() -> None:
    async def scenario() -> None:
        engine = silent()
        left = asyncio.Event()

        async def read(process: Process) -> int:
            await connecting(engine, session(4711))(process)
            left.set()
            await asyncio.sleep(60)
            return 0

        engine.programs["work"] = read
        await engine.ask()
        await engine.drive_until(left.is_set)
        # The session is over: it is known by what the first daemon stored, or by nobody.
        assert (await engine.drive()).state is ResetState.DONE
        assert "pid 4711" in await shown_by(engine)
        assert engine.launched() == 1

    run(scenario())


def test_a_daemon_that_finds_the_command_again_goes_on_looking_and_knows_who_was_there() -> None:
    async def scenario() -> None:
        engine = silent()
        engine.database.sessions.append(session(10))
        engine.programs["work"] = slow
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work") == 1)

        async def connect() -> None:
            await asyncio.sleep(5)
            engine.database.sessions.append(session(4711))

        connecting_later = asyncio.create_task(connect())
        assert (await engine.drive()).state is ResetState.DONE
        assert "pid 4711" in await shown_by(engine)
        await connecting_later

    run(scenario())


def test_a_daemon_that_finds_a_silent_command_again_does_not_call_it_done() -> None:
    async def scenario() -> None:
        engine = silent(idempotent="never")
        engine.database.sessions.append(session(10))
        engine.programs["work"] = slow
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work") == 1)
        assert (await engine.drive()).cause is Reason.SEED_NOT_SEEN
        assert engine.launched() == 1

    run(scenario())


def test_rows_that_were_written_while_no_daemon_ran_are_a_sign() -> None:
    async def scenario() -> None:
        engine = silent()

        async def write(_process: Process) -> int:
            await asyncio.sleep(5)
            engine.database.tables["roles"] = ["admin"]
            return 0

        engine.programs["work"] = write
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work") == 1)
        await asyncio.sleep(20)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_a_cancelled_seed_that_had_ended_is_no_success_without_a_sign() -> None:
    async def scenario() -> None:
        engine = silent()

        async def short(_process: Process) -> int:
            await asyncio.sleep(5)
            return 0

        engine.programs["work"] = short
        await engine.ask()
        await engine.drive_until(lambda: engine.running.get("work") == 1)
        await asyncio.sleep(10)
        await engine.act(ActKind.CANCEL)
        assert (await engine.drive()).state is ResetState.CANCELLED
        assert (await engine.step()).state is StepState.FAILED

    run(scenario())


def test_a_database_that_does_not_answer_for_good_is_no_sign() -> None:
    async def scenario() -> None:
        engine = silent(idempotent="never")

        async def vanish(_process: Process) -> int:
            engine.database.answers = False
            return 0

        engine.programs["work"] = vanish
        await engine.ask()
        began = engine.clock.now()
        failed = await engine.drive()
        assert (failed.state, failed.cause) == (ResetState.FAILED, Reason.DATABASE_UNREACHABLE)
        assert engine.clock.now() - began > timedelta(seconds=60)
        assert engine.launched() == 1

    run(scenario())


@pytest.mark.parametrize(
    ("phase", "step"),
    [
        (Phase.SEED, {"checks": [{"rows": {"table": ["roles"]}}]}),
        (Phase.SEED, {"databases": []}),
        (Phase.MIGRATE, {}),
    ],
)
def test_a_step_whose_check_comes_to_be_met_or_that_seeds_nothing_needs_no_sign(
    phase: Phase, step: dict[str, object]
) -> None:
    async def scenario() -> None:
        engine = silent(phase=phase.value, target="app", **step)

        async def fill(_process: Process) -> int:
            engine.database.tables["roles"] = ["admin"]
            return 0

        engine.programs["work"] = fill
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        attempts = await engine.store.attempts(engine.id)
        assert all(not attempt.baseline for attempt in attempts)

    run(scenario())


async def shown_by(engine: Engine) -> str:
    """The sign that the outcome of the last attempt names."""
    outcome = (await engine.attempts())[-1].outcome
    assert outcome is not None
    return str(outcome.facts["shownBy"])
