"""Only rows that a seed is known to have written are learned of it."""

from __future__ import annotations

from schemas.reasons import Reason
from schemas.resets import ActKind, ResetState
from tests.memory.processes import Process
from tests.unit.engine.drives.learning import VERIFY, learning, next_reset
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import STEP, Engine, catalog


def keeping(engine: Engine, *filled: str) -> list[str]:
    """Let the command make these tables anew with a row, and leave a table of people's as it is; its rows."""
    notes = ["of a person"]

    async def seed(_process: Process) -> int:
        engine.database.tables = {**{name: ["row"] for name in filled}, "people_notes": notes}
        return 0

    engine.database.tables["people_notes"] = notes
    engine.programs["work"] = seed
    return notes


def test_a1_rows_that_were_there_before_the_seed_are_not_learned_whatever_the_wipe_claims() -> None:
    async def scenario() -> None:
        engine = Engine(learning())
        notes = keeping(engine, "roles")
        assert (await next_reset(engine)).state is ResetState.DONE
        learned = await engine.store.learned("qa-sandbox")
        assert {one.tables for one in learned} == {("public.roles",)}
        assert {one.key.step for one in learned} == {STEP, VERIFY}
        notes.clear()
        assert (await next_reset(engine)).state is ResetState.DONE

    run(scenario())


def test_a1_rows_of_people_are_no_sign_that_the_seed_wrote_any() -> None:
    async def scenario() -> None:
        engine = Engine(learning())
        keeping(engine)
        failed = await next_reset(engine)
        assert (failed.cause, failed.detail) == (
            Reason.TABLES_EMPTY,
            (
                "app: expected rows in a table beside the ledger, found none beside those that were there before its "
                "seeds (public.people_notes) (learned.app)"
            ),
        )

    run(scenario())


def test_a1_what_a_failed_attempt_wrote_is_of_the_seed_and_is_learned() -> None:
    async def scenario() -> None:
        engine = Engine(learning(idempotent="never"))
        keeping(engine)
        rows = ["row"]

        async def half(_process: Process) -> int:
            engine.database.tables["roles"] = rows
            return 1

        async def other_half(_process: Process) -> int:
            engine.database.tables["users"] = ["row"]
            return 0

        engine.programs["work"] = half
        assert (await next_reset(engine)).state is ResetState.FAILED
        engine.programs["work"] = other_half
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        learned = await engine.store.learned("qa-sandbox")
        assert {one.tables for one in learned} == {("public.roles", "public.users")}

    run(scenario())


def test_a1_what_the_first_of_two_seeds_wrote_is_expected_after_the_second_one() -> None:
    async def scenario() -> None:
        first = {"name": "first", "phase": "seed", "argv": ["first"], "idempotent": "safe"}
        engine = Engine(catalog(before={**first, "checks": [{"learned": True}]}, checks=[{"learned": True}]))
        keeping(engine)

        async def fill(_process: Process) -> int:
            engine.database.tables["roles"] = ["row"]
            return 0

        async def more(_process: Process) -> int:
            engine.database.tables["users"] = ["row"]
            return 0

        engine.programs.update(first=fill, work=more)
        assert (await next_reset(engine)).state is ResetState.DONE
        learned = {one.key.step: one.tables for one in await engine.store.learned("qa-sandbox")}
        assert learned == {
            "seed.app.first": ("public.roles",),
            STEP: ("public.roles", "public.users"),
            VERIFY: ("public.roles", "public.users"),
        }

    run(scenario())
