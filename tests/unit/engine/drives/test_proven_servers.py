"""What is written and what is verified stays in the server that was dumped: no other one stands for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from daemon.ports.databases import Session
from schemas.reasons import Reason
from schemas.resets import ActKind, ResetState, StepState
from schemas.wire import StepName
from statemachines.steps.session_names import session_name
from tests.memory.databases import MemoryDatabase
from tests.memory.processes import Process, sent_nonce
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import STEP, Engine, Program, catalog

BACKUP = StepName("backup.app")
PREPARE: dict[str, Any] = {"name": "prepare", "phase": "migrate", "argv": ["prepare"], "idempotent": "safe"}
LISTED = {"list": ["carried"], "ledger": {"table": ["ledger"], "column": "name", "pattern": r"\w+"}}
ROLES: dict[str, Any] = {
    "name": "roles",
    "phase": "seed",
    "argv": ["roles"],
    "idempotent": "safe",
    "checks": [{"rows": {"table": ["roles"]}}],
}
NOWHERE: dict[str, Any] = {"databases": []}
"""What makes a step one that writes to no database."""


def swap(engine: Engine, **tables: list[Any]) -> None:
    """Let a copied server take the first one's place; sessions with that one are over. `tables` differ in the copy."""
    first = engine.database
    engine.lead_to(MemoryDatabase(first.server, first.name, {**first.tables, **tables}))
    first.restart()


def swapping(engine: Engine, **tables: list[Any]) -> Program:
    async def program(_process: Process) -> int:
        swap(engine, **tables)
        return 0

    return program


def seeding(engine: Engine) -> Program:
    async def seed(_process: Process) -> int:
        engine.database.tables["roles"] = ["admin"]
        return 0

    return seed


async def carried(process: Process) -> int:
    process.write(b"one\n")
    return 0


@pytest.mark.parametrize("first", [{}, {"destructive": False}], ids=["after a wipe", "after another seed"])
@pytest.mark.parametrize(
    "step", [{}, {"phase": "migrate"}, {"phase": "migrate", "target": "core"}, {"idempotent": "never"}]
)
def test_b2_what_writes_and_destroys_nothing_is_not_launched_in_a_server_that_took_the_place_of_the_first(
    first: dict[str, Any], step: dict[str, Any]
) -> None:
    async def scenario() -> None:
        engine = Engine(catalog(before={**PREPARE, **first}, destructive=False, **step))
        engine.programs["prepare"] = swapping(engine)
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
        assert "resetd resume" in (reset.hint or "")
        assert engine.launched() == 0

    run(scenario())


def test_b2_a_server_that_was_only_started_again_is_dumped_anew_by_a_resume_before_a_seed_writes_there() -> (
    None
):
    async def scenario() -> None:
        engine = Engine(catalog(before=PREPARE, destructive=False))

        async def restart(_process: Process) -> int:
            engine.database.restart()
            return 0

        engine.programs["prepare"] = restart
        await engine.ask()
        assert (await engine.drive()).cause is Reason.DATABASE_MISMATCH
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert (engine.launched("prepare"), engine.launched()) == (1, 1)
        assert len(await engine.attempts(BACKUP)) == 2

    run(scenario())


def test_b2_what_answers_after_a_stop_is_dumped_before_a_seed_that_destroys_nothing_writes_there() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(destructive=False, idempotent="never"))

        async def fail(_process: Process) -> int:
            return 1

        engine.programs["work"] = fail
        await engine.ask()
        assert (await engine.drive()).cause is Reason.COMMAND_FAILED
        swap(engine)
        del engine.programs["work"]
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert len(await engine.attempts(BACKUP)) == 2

    run(scenario())


def test_b2_a_seed_of_whose_database_the_plan_has_no_dump_is_not_launched() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(destructive=False))
        engine.forget(lambda step: step.name == BACKUP)
        await engine.ask()
        assert (await engine.drive()).cause is Reason.BACKUP_UNPROVEN
        assert engine.launched() == 0

    run(scenario())


@pytest.mark.parametrize(("seconds", "handshakes"), [(30, 1), (61, 2)])
def test_b2_an_old_handshake_is_made_again_before_a_seed_that_destroys_nothing(
    seconds: int, handshakes: int
) -> None:
    async def scenario() -> None:
        nonces: list[str | None] = []

        async def shake(process: Process) -> int:
            nonces.append(sent_nonce(process))
            engine.database.notify(nonces[-1] or "")
            return 0

        async def prepare(_process: Process) -> int:
            await engine.clock.sleep(seconds)
            return 0

        engine = Engine(catalog(before=PREPARE, destructive=False), handshake=shake, prepare=prepare)
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        assert len(nonces) == handshakes

    run(scenario())


@pytest.mark.parametrize(
    ("verified", "tables"),
    [
        ("verify.app.rows", {}),
        ("verify.app.rows", {"roles": []}),
        ("verify.app.migrations", {}),
        ("verify.app.migrations", {"ledger": []}),
        ("verify.app", {}),
    ],
)
def test_b2_verify_looks_at_nothing_but_the_server_that_was_reset(
    verified: str, tables: dict[str, list[Any]]
) -> None:
    async def scenario() -> None:
        each: dict[str, dict[str, Any]] = {
            "verify.app.rows": {},
            "verify.app.migrations": {"database": {"migrations": LISTED}},
            "verify.app": {"verify": {"argv": ["look"]}},
        }
        asked = each[verified]
        checks = ROLES["checks"] if verified.endswith("rows") else []
        engine = Engine(catalog(before={**ROLES, "checks": checks}, **NOWHERE, **asked))
        engine.database.tables["ledger"] = ["one"]
        engine.programs.update(roles=seeding(engine), work=swapping(engine, **tables), carried=carried)
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
        assert reset.stopped_at == verified
        assert "resetd resume" in (reset.hint or "")
        assert engine.launched("look") == 0
        assert engine.contents.open_now == 0

    run(scenario())


def test_b2_a_person_who_looked_resumes_and_what_answers_by_then_is_dumped_and_verified() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(before=ROLES, **NOWHERE))

        async def restart(_process: Process) -> int:
            engine.database.restart()
            return 0

        engine.programs.update(roles=seeding(engine), work=restart)
        await engine.ask()
        assert (await engine.drive()).cause is Reason.DATABASE_MISMATCH
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert (engine.launched("roles"), engine.launched()) == (1, 1)
        assert len(await engine.attempts(BACKUP)) == 2

    run(scenario())


def test_b2_a_server_that_took_the_place_of_the_first_while_the_reset_stood_at_verify_is_not_taken_for_it() -> (
    None
):
    async def scenario() -> None:
        engine = Engine(catalog(before=ROLES, **NOWHERE))

        async def lose(_process: Process) -> int:
            engine.database.tables["roles"] = []
            return 0

        engine.programs.update(roles=seeding(engine), work=lose)
        await engine.ask()
        assert (await engine.drive()).cause is Reason.CHECK_NOT_MET
        swap(engine, roles=["admin"])
        await engine.act(ActKind.RESUME)
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
        assert len(await engine.attempts(BACKUP)) == 1

    run(scenario())


@pytest.mark.parametrize("happens", [swap, lambda engine: engine.database.restart()], ids=["copy", "restart"])
def test_b2_the_check_after_a_seed_is_met_by_nothing_but_the_server_that_was_dumped(
    happens: Callable[[Engine], None],
) -> None:
    async def scenario() -> None:
        engine = Engine(catalog(checks=[{"rows": {"table": ["roles"]}}], idempotent="never"))
        engine.database.tables["roles"] = ["admin"]

        async def seed(_process: Process) -> int:
            happens(engine)
            return 0

        engine.programs["work"] = seed
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
        assert "can't tell" in (reset.detail or "")
        assert engine.launched() == 1

    run(scenario())


def test_b2_a_session_of_a_seed_that_is_seen_in_another_server_is_no_sign_in_the_one_that_was_dumped() -> (
    None
):
    async def scenario() -> None:
        engine = Engine(catalog(idempotent="never"))
        engine.silent.add("work")

        async def seed(process: Process) -> int:
            swap(engine)
            assert process.attempt is not None
            name = session_name(process.attempt)
            reached = engine.databases.at(process.variables["DATABASE_URL"])
            reached.sessions.append(Session(1, "app", name, None, hidden=False, writes=True, since=None))
            await engine.clock.sleep(2)
            return 0

        engine.programs["work"] = seed
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.DATABASE_MISMATCH)
        assert (await engine.step(STEP)).state is StepState.FAILED

    run(scenario())
