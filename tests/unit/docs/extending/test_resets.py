"""Resets by the catalog of another platform in docs/extending.md: what the daemon does with each answer."""

from __future__ import annotations

from schemas.reasons import Reason
from schemas.requests import Mode, Option
from schemas.resets import ActKind, ResetState, StepState
from schemas.wire import StepName
from tests.memory.databases import MemoryDatabase
from tests.memory.processes import Process
from tests.unit.docs.extending.bazaar import (
    LOADED,
    MIGRATIONS,
    ROLLBACK,
    SEEDS,
    TOOLS,
    Bazaar,
    keep_rows,
    listed,
)
from tests.unit.engine.drives.loop import run


class TestAReset:
    def test_a_wipe_runs_what_the_page_lists_in_that_order(self) -> None:
        async def scenario() -> None:
            bazaar = Bazaar()
            await bazaar.ask_for(Mode.WIPE)
            assert (await bazaar.drive()).state is ResetState.DONE
            by_daemon = ("backup.", "verify.billing.rows", "verify.ledger.migrations")
            commands = [name for name in listed()["wipe"] if not name.startswith(by_daemon)]
            assert list(dict.fromkeys(bazaar.ran())) == commands
            assert [len(bazaar.backups.files), len(bazaar.overlapped)] == [3, 0]
            assert {name: one.tables["rows"] for name, one in bazaar.used.items()} == {
                "shop": ["product"],
                "billing": ["plan", "seeds"],
                "ledger": ["account"],
            }

        run(scenario())

    def test_a_refresh_keeps_what_people_wrote(self) -> None:
        async def scenario() -> None:
            bazaar = Bazaar()
            await bazaar.ask_for(Mode.REFRESH, Option.MOCK)
            assert (await bazaar.drive()).state is ResetState.DONE
            assert bazaar.used["shop"].tables["rows"] == ["dirt", "product", "demo"]

        run(scenario())

    def test_nothing_is_started_where_the_tool_reaches_another_database(self) -> None:
        async def scenario() -> None:
            bazaar = Bazaar()
            await bazaar.ask_for(Mode.WIPE)
            bazaar.misled_to = MemoryDatabase("7009", "ledger-sandbox")
            reset = await bazaar.drive()
            assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
            assert bazaar.ran() == []

        run(scenario())


class Seeds:
    """`bin/rails db:seed`, whose connection is lost after it wrote some of its rows."""

    def __init__(self, *rows: str) -> None:
        self._rows = rows
        self._lost = False

    def __call__(self, database: MemoryDatabase, process: Process) -> int:
        if self._lost:
            return TOOLS["db:seed"](database, process)
        self._lost = True
        keep_rows(*self._rows)(database, process)
        process.write(b"PG::ConnectionBad: server closed the connection unexpectedly\n")
        return 1


class TestASeedThatMayBeHalfDone:
    """`idempotent: rerun-after-check`."""

    def test_99_says_that_nothing_is_left_and_nothing_is_started(self) -> None:
        async def scenario() -> None:
            bazaar = Bazaar()
            bazaar.tools["db:seed"] = Seeds("plan", "seeds")
            await bazaar.ask_for(Mode.SEED)
            assert (await bazaar.drive()).state is ResetState.DONE
            assert bazaar.ran().count(SEEDS) == 1
            step = await bazaar.step(SEEDS)
            assert step.outcome is not None
            assert step.outcome.detail == "its check says that nothing is left to do"

        run(scenario())

    def test_0_says_that_it_has_to_run_again(self) -> None:
        async def scenario() -> None:
            bazaar = Bazaar()
            bazaar.tools["db:seed"] = Seeds("plan")
            await bazaar.ask_for(Mode.SEED)
            assert (await bazaar.drive()).state is ResetState.DONE
            assert bazaar.ran().count(SEEDS) == 2
            assert bazaar.used["billing"].tables["rows"] == ["dirt", "plan", "seeds"]

        run(scenario())

    def test_anything_else_is_no_answer_and_the_reset_stops_without_a_second_start(self) -> None:
        async def scenario() -> None:
            bazaar = Bazaar()
            bazaar.tools["db:seed"] = Seeds("plan")
            bazaar.tools["Setup.exists?"] = lambda _database, _process: 1
            await bazaar.ask_for(Mode.SEED)
            reset = await bazaar.drive()
            assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.CHECK_FAILED)
            assert bazaar.ran().count(SEEDS) == 1
            assert len(await bazaar.attempts(SEEDS)) == LOADED.catalog.retry.attempts

        run(scenario())


class TestARollbackThatIsRepeated:
    """`repeatUntil`."""

    def test_it_runs_once_for_each_migration_and_once_more_that_finds_nothing(self) -> None:
        async def scenario() -> None:
            bazaar = Bazaar()
            await bazaar.ask_for(Mode.WIPE)
            assert (await bazaar.drive()).state is ResetState.DONE
            assert bazaar.ran().count(ROLLBACK) == len(MIGRATIONS) + 1
            assert len(await bazaar.attempts(ROLLBACK)) == len(MIGRATIONS) + 1

        run(scenario())

    def test_one_that_has_nothing_left_to_undo_and_does_not_say_so_fails(self) -> None:
        async def scenario() -> None:
            def mute(database: MemoryDatabase, process: Process) -> int:
                TOOLS["dbmate --env LEDGER_DATABASE_URL --no-dump-schema rollback"](database, process)
                process.output.clear()
                return 0

            bazaar = Bazaar()
            bazaar.tools["dbmate --env LEDGER_DATABASE_URL --no-dump-schema rollback"] = mute
            await bazaar.ask_for(Mode.WIPE)
            assert (await bazaar.drive()).state is ResetState.FAILED
            assert bazaar.ran().count(ROLLBACK) == len(MIGRATIONS) + 1
            assert (await bazaar.step(ROLLBACK)).state is StepState.FAILED

        run(scenario())


class TestFailures:
    def test_a_step_that_is_never_to_be_repeated_waits_for_a_person(self) -> None:
        async def scenario() -> None:
            bazaar = Bazaar()
            flush = StepName("migrate.shop.flush")
            refused = iter([1])

            def empty(database: MemoryDatabase, process: Process) -> int:
                process.write(b"connection to server at db failed: Connection refused\n")
                return next(refused, TOOLS["manage.py flush"](database, process))

            bazaar.tools["manage.py flush"] = empty
            await bazaar.ask_for(Mode.WIPE)
            reset = await bazaar.drive()
            assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_UNREACHABLE)
            assert bazaar.ran().count(flush) == 1
            await bazaar.act(ActKind.RESUME)
            assert (await bazaar.drive()).state is ResetState.DONE
            assert bazaar.ran().count(flush) == 2

        run(scenario())

    def test_a_line_that_means_failure_counts_although_the_exit_code_is_0(self) -> None:
        async def scenario() -> None:
            bazaar = Bazaar()
            bazaar.used["billing"].tables["schema_migrations"] = list(MIGRATIONS[:1])
            await bazaar.ask_for(Mode.SEED)
            reset = await bazaar.drive()
            assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.MIGRATIONS_PENDING)
            assert reset.stopped_at == "verify.billing"

        run(scenario())
