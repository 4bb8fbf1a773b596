"""What a wipe that was done teaches of its seeds, what a later seed is compared with, and what a person accepts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from schemas.audit import AuditAction, Verdict
from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, ResetState, StepState
from schemas.wire import StepName
from tests.memory.processes import Process
from tests.unit.engine.drives.learning import CHECK, VERIFY, learning, next_reset
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import STEP, Engine, catalog


def seeding(engine: Engine, *filled: str, empty: Sequence[str] = ()) -> None:
    """Let the command leave a row in these tables, and none in the others."""

    async def seed(_process: Process) -> int:
        engine.database.tables = {**{name: ["row"] for name in filled}, **{name: [] for name in empty}}
        return 0

    engine.programs["work"] = seed


def test_a_table_that_the_last_wipe_filled_and_that_is_empty_now_stops_the_reset() -> None:
    async def scenario() -> None:
        engine = Engine(learning())
        seeding(engine, "roles", "users")
        first = await next_reset(engine)
        assert first.state is ResetState.DONE
        seeding(engine, "roles", empty=["users"])
        failed = await next_reset(engine)
        assert (failed.state, failed.cause, failed.stopped_at) == (
            ResetState.FAILED,
            Reason.TABLES_EMPTY,
            STEP,
        )
        assert failed.detail == (
            f"app: expected rows in each of 2 tables, as after this step in reset {first.id}, "
            "found public.users empty (learned.app)"
        )
        assert "resetd accept ID learned.app" in (failed.hint or "")

    run(scenario())


def test_what_is_accepted_is_the_new_truth_and_nothing_runs_again() -> None:
    async def scenario() -> None:
        engine = Engine(learning())
        seeding(engine, "roles", "users")
        await next_reset(engine)
        seeding(engine, "roles", empty=["users"])
        await next_reset(engine)
        launched = engine.launched()
        await engine.act(ActKind.ACCEPT, check_name=CHECK)
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.launched() == launched
        assert (await engine.step()).state is StepState.SUCCEEDED
        assert len(await engine.attempts()) == 1
        again = await next_reset(engine)
        assert again.state is ResetState.DONE
        (line,) = [e for e in await engine.store.audit() if e.action is AuditAction.ACCEPT]
        assert (line.verdict, line.actor, line.facts["check"]) == (Verdict.APPLIED, "olga", CHECK)

    run(scenario())


def test_a_refresh_is_compared_and_teaches_nothing() -> None:
    async def scenario() -> None:
        engine = Engine(learning())
        seeding(engine, "roles", "users")
        await next_reset(engine)
        seeding(engine, "roles", "users", "of_a_person")
        assert (await next_reset(engine, Mode.REFRESH)).state is ResetState.DONE
        seeding(engine, "roles", "users", empty=["of_a_person"])
        assert (await next_reset(engine, Mode.REFRESH)).state is ResetState.DONE
        seeding(engine, "roles", empty=["users"])
        assert (await next_reset(engine, Mode.REFRESH)).cause is Reason.TABLES_EMPTY
        # What is accepted in a refresh outlasts it.
        await engine.act(ActKind.ACCEPT, check_name=CHECK)
        assert (await engine.drive()).state is ResetState.DONE
        assert (await next_reset(engine, Mode.SEED)).state is ResetState.DONE

    run(scenario())


def test_the_first_time_one_table_with_rows_is_enough_and_nothing_at_all_is_not() -> None:
    async def scenario() -> None:
        engine = Engine(learning())
        seeding(engine, empty=["roles"])
        failed = await next_reset(engine)
        assert (failed.cause, failed.detail) == (
            Reason.TABLES_EMPTY,
            "app: expected rows in a table beside the ledger, found none (learned.app)",
        )
        seeding(engine, "roles", empty=["users"])
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        outcome = (await engine.step()).outcome
        assert outcome is not None
        assert "nothing is learned" in outcome.facts["told"][0]

    run(scenario())


def test_with_another_image_what_is_empty_now_is_told_and_with_the_former_one_it_counts_again() -> None:
    async def scenario() -> None:
        engine = Engine(learning())
        seeding(engine, "roles", "users")
        await next_reset(engine)
        former = engine.service.image_digest
        engine.service.image_digest = "sha256:another"
        seeding(engine, "roles", empty=["users"])
        assert (await next_reset(engine)).state is ResetState.DONE
        outcome = (await engine.step()).outcome
        assert outcome is not None
        assert outcome.facts["told"] == [
            "app: with the image before, public.users had rows; with this one not"
        ]
        engine.service.image_digest = former
        assert (await next_reset(engine)).cause is Reason.TABLES_EMPTY

    run(scenario())


def test_a_table_that_is_gone_is_told() -> None:
    async def scenario() -> None:
        engine = Engine(learning())
        seeding(engine, "roles", "users")
        await next_reset(engine)
        seeding(engine, "roles")
        assert (await next_reset(engine)).state is ResetState.DONE
        outcome = (await engine.step()).outcome
        assert outcome is not None
        assert outcome.facts["told"] == ["app has no table public.users any more"]

    run(scenario())


def test_a_wipe_that_failed_or_left_a_step_out_teaches_nothing() -> None:
    async def scenario() -> None:
        engine = Engine(
            catalog(
                before={
                    "name": "first",
                    "phase": "seed",
                    "argv": ["first"],
                    "idempotent": "safe",
                    "skippable": True,
                },
                checks=[{"learned": True}],
            )
        )
        seeding(engine, "roles", "users")

        async def fail(_process: Process) -> int:
            return 1

        engine.programs["first"] = fail
        assert (await next_reset(engine)).state is ResetState.FAILED
        await engine.act(ActKind.SKIP, step=StepName("seed.app.first"))
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert await engine.store.learned("qa-sandbox") == ()

    run(scenario())


def test_only_a_learned_check_that_alone_failed_the_step_can_be_accepted() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(checks=[{"learned": True}, {"rows": {"table": ["users"]}}]))
        seeding(engine, "roles", "users")
        await next_reset(engine)
        seeding(engine, "roles", empty=["users"])
        failed = await next_reset(engine)
        assert failed.cause is Reason.CHECK_NOT_MET
        for name in (CHECK, "rows app users", "", "learned.other"):
            await engine.act(ActKind.ACCEPT, check_name=name)
        assert (await engine.drive()).state is ResetState.FAILED
        lines = [e for e in await engine.store.audit() if e.action is AuditAction.ACCEPT]
        assert {(e.verdict, e.code) for e in lines} == {(Verdict.REFUSED, Reason.NOT_ACCEPTABLE)}

    run(scenario())


def test_an_exit_code_is_never_accepted() -> None:
    async def scenario() -> None:
        engine = Engine(learning())

        async def fail(_process: Process) -> int:
            return 1

        engine.programs["work"] = fail
        assert (await next_reset(engine)).cause is Reason.COMMAND_FAILED
        await engine.act(ActKind.ACCEPT, check_name=CHECK)
        assert (await engine.drive()).state is ResetState.FAILED
        assert (await engine.step()).state is StepState.FAILED

    run(scenario())


def test_a_daemon_that_dies_after_it_read_the_acceptance_goes_on_behind_the_step() -> None:
    async def scenario() -> None:
        engine = Engine(learning(verify={"argv": ["slow"]}))
        seeding(engine, "roles", "users")
        await next_reset(engine)
        seeding(engine, "roles", empty=["users"])
        await next_reset(engine)
        launched = engine.launched()

        async def slow(_process: Process) -> int:
            await asyncio.sleep(30)
            return 0

        engine.programs["slow"] = slow
        await engine.act(ActKind.ACCEPT, check_name=CHECK)
        await engine.act(ActKind.ACCEPT, check_name=CHECK)  # typed twice
        await engine.drive_until(lambda: engine.running.get("slow") == 1)
        assert (await engine.drive()).state is ResetState.DONE
        assert engine.launched() == launched
        lines = [e.verdict for e in await engine.store.audit() if e.action is AuditAction.ACCEPT]
        assert lines == [Verdict.REFUSED, Verdict.APPLIED]  # the newest first

    run(scenario())


def test_a_table_that_a_later_step_emptied_is_seen_at_the_end_and_accepted_there() -> None:
    async def scenario() -> None:
        first = {"name": "first", "phase": "seed", "argv": ["first"], "idempotent": "safe"}
        engine = Engine(catalog(before={**first, "checks": [{"learned": True}]}))

        async def fill(_process: Process) -> int:
            engine.database.tables = {"roles": ["row"], "users": ["row"]}
            return 0

        async def spoil(_process: Process) -> int:
            engine.database.tables["users"] = []
            return 0

        engine.programs["first"] = fill
        assert (await next_reset(engine)).state is ResetState.DONE
        engine.programs["work"] = spoil
        failed = await next_reset(engine)
        assert (failed.cause, failed.stopped_at) == (Reason.TABLES_EMPTY, VERIFY)
        await engine.act(ActKind.ACCEPT, check_name=CHECK)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())
