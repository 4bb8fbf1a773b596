"""Nothing destructive is launched unless the tool was heard, a moment ago, in the database that was dumped.

Over 300 lines: the stories of one proof, told with the same tools.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.reasons import TEXTS, Reason
from schemas.resets import ActKind, ResetState
from schemas.wire import StepName
from tests.memory.databases import MemoryDatabase
from tests.memory.processes import Process, sent_nonce
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import ENVIRONMENT, STEP, Engine, Program, catalog

PREPARE: dict[str, Any] = {"name": "prepare", "phase": "migrate", "argv": ["prepare"], "idempotent": "safe"}


def copy_of(database: MemoryDatabase) -> MemoryDatabase:
    """A copied server: the same identifier, database name and contents."""
    return MemoryDatabase(database.server, database.name, dict(database.tables))


def exits(code: int, output: bytes = b"") -> Program:
    """A tool that sends nothing."""

    async def tool(process: Process) -> int:
        process.write(output)
        return code

    return tool


async def outcome(engine: Engine) -> tuple[ResetState, Reason | None, int]:
    """The reset's state and cause, and how often its command was launched."""
    await engine.ask()
    reset = await engine.drive()
    return reset.state, reset.cause, engine.launched()


@pytest.mark.parametrize(
    ("tool", "cause"),
    [
        (exits(0), Reason.DATABASE_MISMATCH),
        (exits(0, b"ERROR:  relation does not exist"), Reason.DATABASE_MISMATCH),
        (exits(1, b"boom"), Reason.DATABASE_UNIDENTIFIED),
        (exits(1, b"ERROR:  cannot execute NOTIFY during recovery"), Reason.DATABASE_STANDBY),
        (exits(1, b"P1001"), Reason.DATABASE_UNIDENTIFIED),
    ],
    ids=["true", "psql without ON_ERROR_STOP", "false", "a standby", "unreachable"],
)
def test_a4_a_tool_that_was_not_heard_proves_nothing_whatever_it_exits_with(
    tool: Program, cause: Reason
) -> None:
    async def scenario() -> None:
        engine = Engine(catalog(), handshake=tool)
        assert await outcome(engine) == (ResetState.FAILED, cause, 0)
        assert (await engine.reset()).hint

    run(scenario())


@pytest.mark.parametrize(
    "printed",
    [
        b"! unknown or unexpected option: --schema\n\nUsage\n\n  $ prisma db execute [options]\n",
        b"error: unknown option '--stdin'\n",
        b"usage: psql [OPTION]... [DBNAME]\n",
    ],
)
def test_f8_a_tool_that_prints_its_usage_at_the_handshake_is_asked_once(printed: bytes) -> None:
    async def scenario() -> None:
        asked = []

        async def tool(process: Process) -> int:
            asked.append(process)
            return await exits(1, printed)(process)

        engine = Engine(catalog(), handshake=tool)
        assert await outcome(engine) == (ResetState.FAILED, Reason.TOOL_USAGE, 0)
        assert len(asked) == 1
        assert "version" in ((await engine.reset()).hint or "")

    run(scenario())


def test_a4_a_tool_that_was_heard_has_shown_it_whatever_it_exits_with() -> None:
    async def scenario() -> None:
        async def heard(process: Process) -> int:
            engine.database.notify(sent_nonce(process) or "")
            return 1

        engine = Engine(catalog(), handshake=heard)
        assert await outcome(engine) == (ResetState.DONE, None, 1)

    run(scenario())


def test_a4_a_tool_that_was_heard_and_hangs_has_shown_it() -> None:
    async def scenario() -> None:
        async def hangs(process: Process) -> int:
            engine.database.notify(sent_nonce(process) or "")
            await asyncio.Event().wait()
            return 0

        engine = Engine(catalog(), handshake=hangs)
        assert await outcome(engine) == (ResetState.DONE, None, 1)

    run(scenario())


def test_a4_a_nonce_of_an_earlier_try_shows_nothing() -> None:
    async def scenario() -> None:
        sent: list[str] = []

        async def late(process: Process) -> int:
            """Sends what it was asked to send at the time before."""
            for nonce in sent:
                engine.database.notify(nonce)
            sent.append(sent_nonce(process) or "")
            return 1

        engine = Engine(catalog(), handshake=late)
        assert await outcome(engine) == (ResetState.FAILED, Reason.DATABASE_UNIDENTIFIED, 0)
        assert len(sent) == len(set(sent)) == 3

    run(scenario())


def test_b1_a_tool_that_reaches_a_copy_of_the_server_is_refused() -> None:
    async def scenario() -> None:
        async def misled(process: Process) -> int:
            copy.notify(sent_nonce(process) or "")
            return 0

        engine = Engine(catalog(), handshake=misled)
        copy = copy_of(engine.database)
        assert await outcome(engine) == (ResetState.FAILED, Reason.DATABASE_MISMATCH, 0)

    run(scenario())


def test_b1_a_client_that_reads_another_url_than_the_tool_is_refused() -> None:
    async def scenario() -> None:
        async def misled(process: Process) -> int:
            copy.notify(sent_nonce(process) or "")
            return 0

        engine = Engine(catalog(database={"clientHandshake": {"argv": ["client"]}}), client=misled)
        copy = copy_of(engine.database)
        assert await outcome(engine) == (ResetState.FAILED, Reason.DATABASE_MISMATCH, 0)
        plan = await engine.store.plan(engine.id)
        assert plan is not None
        assert [step.client_argv for step in plan.steps if step.kind == "handshake"] == [("client",)]

    run(scenario())


def test_b1_a_client_that_is_heard_beside_the_tool_shows_it() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(database={"clientHandshake": {"argv": ["client"]}}))
        assert await outcome(engine) == (ResetState.DONE, None, 1)

    run(scenario())


def test_b2_an_address_that_leads_elsewhere_after_the_handshake_stops_the_next_destructive_launch() -> None:
    async def scenario() -> None:
        async def switch(_process: Process) -> int:
            engine.lead_to(copy_of(engine.database))
            return 0

        engine = Engine(catalog(before=PREPARE), prepare=switch)
        assert await outcome(engine) == (ResetState.FAILED, Reason.DATABASE_MISMATCH, 0)
        assert engine.database.witnesses == []
        reset = await engine.reset()
        assert "resetd resume" in (reset.hint or "")

    run(scenario())


def test_b2_a_server_that_was_started_again_after_the_dump_is_not_the_one_that_was_dumped() -> None:
    async def scenario() -> None:
        async def restart(_process: Process) -> int:
            engine.database.restart()
            return 0

        engine = Engine(catalog(before=PREPARE), prepare=restart)
        assert await outcome(engine) == (ResetState.FAILED, Reason.DATABASE_MISMATCH, 0)

    run(scenario())


def test_b2_a_daemon_that_goes_on_after_a_crash_does_not_believe_a_copy_that_answers_by_then() -> None:
    async def scenario() -> None:
        async def prepare(_process: Process) -> int:
            await asyncio.sleep(5)
            return 0

        engine = Engine(catalog(before=PREPARE), prepare=prepare)
        await engine.ask()
        await engine.drive_until(lambda: engine.launched("prepare") == 1)
        engine.lead_to(copy_of(engine.database))
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
        assert (engine.launched("prepare"), engine.launched()) == (1, 0)

    run(scenario())


def test_b2_a_daemon_that_goes_on_after_a_crash_goes_on_with_the_same_server() -> None:
    async def scenario() -> None:
        async def prepare(_process: Process) -> int:
            await asyncio.sleep(5)
            return 0

        engine = Engine(catalog(before=PREPARE), prepare=prepare)
        await engine.ask()
        await engine.drive_until(lambda: engine.launched("prepare") == 1)
        assert (await engine.drive()).state is ResetState.DONE
        assert (engine.launched("prepare"), engine.launched()) == (1, 1)

    run(scenario())


@pytest.mark.parametrize(("seconds", "handshakes"), [(30, 1), (61, 2)])
def test_b2_a_handshake_that_is_older_than_its_limit_is_made_again_before_the_next_destructive_launch(
    seconds: int, handshakes: int
) -> None:
    async def scenario() -> None:
        nonces: list[str | None] = []

        async def shake(process: Process) -> int:
            nonces.append(sent_nonce(process))
            engine.database.notify(nonces[-1] or "")
            return 0

        async def prepare(_process: Process) -> int:
            await asyncio.sleep(seconds)
            return 0

        engine = Engine(catalog(before=PREPARE), handshake=shake, prepare=prepare)
        assert await outcome(engine) == (ResetState.DONE, None, 1)
        assert len(nonces) == len(set(nonces)) == handshakes

    run(scenario())


def test_b2_a_tool_that_was_led_elsewhere_within_its_own_container_is_noticed_once_its_word_is_old() -> None:
    async def scenario() -> None:
        led_to: list[MemoryDatabase] = []

        async def shake(process: Process) -> int:
            led_to[-1].notify(sent_nonce(process) or "")
            return 0

        async def prepare(_process: Process) -> int:
            led_to.append(copy_of(engine.database))
            await asyncio.sleep(61)
            return 0

        engine = Engine(catalog(before=PREPARE), handshake=shake, prepare=prepare)
        led_to.append(engine.database)
        assert await outcome(engine) == (ResetState.FAILED, Reason.DATABASE_MISMATCH, 0)

    run(scenario())


def test_b2_an_address_that_leads_elsewhere_while_the_launch_is_prepared_stops_that_launch() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(idempotent="never"))
        copy = copy_of(engine.database)
        engine.pods.meanwhile("prepare", lambda: engine.lead_to(copy))
        assert await outcome(engine) == (ResetState.FAILED, Reason.DATABASE_MISMATCH, 0)
        assert len(await engine.attempts()) == 1

    run(scenario())


def test_b2_a_database_that_is_away_right_before_the_launch_is_waited_for_and_the_command_runs_once() -> None:
    async def scenario() -> None:
        def cut() -> None:
            engine.database.answers = False
            engine.pods.meanwhile("give_up", come_back)

        def come_back() -> None:
            engine.database.answers = True

        engine = Engine(catalog(idempotent="never"))
        engine.pods.meanwhile("prepare", cut)
        assert await outcome(engine) == (ResetState.DONE, None, 1)

    run(scenario())


async def cancelled_beside_a_hidden_statement() -> Engine:
    """An engine that is to cancel a command while another role's transaction is hidden from it."""

    async def work(_process: Process) -> int:
        engine.database.hidden.append("pid 4711 of migrator")
        await asyncio.sleep(10_000)
        return 0

    engine = Engine(catalog(timeout=30), work=work)
    await engine.ask()
    await engine.drive_until(lambda: engine.launched() == 1)
    await engine.act(ActKind.CANCEL)
    return engine


def test_c4_a_killed_command_whose_statements_may_be_hidden_is_unknown_and_never_called_gone() -> None:
    async def scenario() -> None:
        engine = await cancelled_beside_a_hidden_statement()
        reset = await engine.drive()
        assert reset.state is ResetState.NEEDS_OPERATOR
        detail = (await engine.step(STEP)).outcome
        assert detail is not None
        assert "pid 4711 of migrator" in (detail.detail or "")
        assert "pg_read_all_stats" in (detail.detail or "")
        assert detail.hint

    run(scenario())


def test_c4_a_transaction_of_another_role_that_ends_in_time_holds_nothing_up() -> None:
    async def scenario() -> None:
        engine = await cancelled_beside_a_hidden_statement()
        asyncio.get_running_loop().call_later(20, engine.database.hidden.clear)
        assert (await engine.drive()).state is ResetState.CANCELLED

    run(scenario())


def test_a_witness_that_the_server_ends_makes_the_try_temporary() -> None:
    async def scenario() -> None:
        async def shake(process: Process) -> int:
            if len(ended) < 1:
                ended.append(True)
                engine.database.witnesses.clear()
            engine.database.notify(sent_nonce(process) or "")
            return 0

        ended: list[bool] = []
        engine = Engine(catalog(), handshake=shake)
        assert await outcome(engine) == (ResetState.DONE, None, 1)
        first = (await engine.attempts(StepName("backup.handshake.app")))[0].outcome
        assert first is not None
        assert (first.cause, first.temporary) == (Reason.DATABASE_UNREACHABLE, True)

    run(scenario())


@pytest.mark.parametrize("named", ["qa-production", ""])
def test_what_a_marker_that_names_others_stops_is_told_with_where_to_look(named: str) -> None:
    async def scenario() -> None:
        engine = Engine(catalog())
        engine.database.markers.add((named, "7001", "app"))
        await engine.ask()
        stopped = await engine.drive()
        assert (stopped.state, stopped.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
        assert f"not of {ENVIRONMENT}" in (stopped.detail or "")
        for told in (stopped.hint or "", TEXTS[Reason.DATABASE_MISMATCH]):
            assert "marker" in told
        assert "the table `identity` in its schema `resetd`" in (stopped.hint or "")
        assert not engine.launched("handshake")

    run(scenario())
