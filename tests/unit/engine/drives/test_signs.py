"""Which checks stand for a sign of a seed: those that nothing but rows beside the ledger can meet."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.reasons import Reason
from schemas.resets import ResetState
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

LISTED = {"list": ["carried"], "ledger": {"table": ["ledger"], "column": "name", "pattern": r"\w+"}}
UNCHANGED = {"unchanged": {"table": ["mappings"], "absent": "tell"}}


def silent(*checks: dict[str, Any], migrations: bool = True, **step: Any) -> Engine:  # noqa: ANN401 - YAML
    """An engine whose seed does nothing. All migrations of its image are in the ledger, and no table beside it is."""
    database = {"migrations": LISTED} if migrations else {}
    engine = Engine(catalog(checks=list(checks), database=database, **step))

    async def carried(process: Process) -> int:
        process.write(b"one\n")
        return 0

    engine.programs["carried"] = carried
    engine.database.tables["ledger"] = ["one"]
    engine.silent.add("work")
    return engine


@pytest.mark.parametrize(
    "checks",
    [
        [],
        [UNCHANGED],
        [{"rows": {"table": ["roles"], "absent": "tell"}}],
        [{"rows": {"table": ["ledger"]}}],
        [{"rows": {"table": ["public.ledger"]}}],
        [{"rows": {"table": ["roles", "ledger"]}}],
    ],
    ids=[
        "migrations",
        "unchanged",
        "a table that is not there",
        "the ledger",
        "with schema",
        "or the ledger",
    ],
)
def test_a1_a_seed_of_which_only_the_ledger_is_looked_at_is_not_called_done_without_a_sign(
    checks: list[dict[str, Any]],
) -> None:
    async def scenario() -> None:
        engine = silent(*checks)
        if any(check.get("rows", {}).get("table") == ["public.ledger"] for check in checks):
            engine.database.tables["public.ledger"] = ["one"]
        await engine.ask()
        failed = await engine.drive()
        assert (failed.state, failed.cause) == (ResetState.FAILED, Reason.SEED_NOT_SEEN)
        assert "can't tell" in (failed.detail or "")
        assert "migrated: true" in (failed.hint or "")
        assert engine.launched() == 1

    run(scenario())


@pytest.mark.parametrize("checks", [[], [UNCHANGED], [{"rows": {"table": ["roles"], "absent": "tell"}}]])
def test_a_seed_of_which_only_the_ledger_is_looked_at_is_done_once_it_wrote(
    checks: list[dict[str, Any]],
) -> None:
    async def scenario() -> None:
        engine = silent(*checks)
        engine.silent.clear()
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


@pytest.mark.parametrize(
    "check",
    [
        {"rows": {"table": ["roles"]}},
        {"rows": {"table": ["roles"], "absent": "tell"}},
        {"rows": {"query": "TABLE roles"}},
        {"rows": {"anyTable": True}},
        {"learned": True},
    ],
)
def test_rows_that_a_check_found_beside_the_ledger_are_enough(check: dict[str, Any]) -> None:
    async def scenario() -> None:
        engine = silent(check)

        async def fill(_process: Process) -> int:
            engine.database.tables["roles"] = ["admin"]
            return 0

        engine.programs["work"] = fill
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        outcome = (await engine.attempts())[-1].outcome
        assert outcome is not None
        assert str(outcome.facts["shownBy"]).startswith(("rows app", "learned.app"))

    run(scenario())


@pytest.mark.parametrize("does_something", [False, True])
@pytest.mark.parametrize(
    "checks",
    [
        [{"rows": {"table": ["roles"]}}],
        [{"rows": {"query": "TABLE roles"}}],
        [{"rows": {"anyTable": True}}],
        [{"learned": True}],
        [{"rows": {"table": ["roles"]}}, {"learned": True}],
    ],
)
def test_a1_a_check_that_was_met_before_the_seed_says_nothing_of_it(
    checks: list[dict[str, Any]],
    does_something: bool,
) -> None:
    async def scenario() -> None:
        engine = silent(*checks)
        engine.database.tables["roles"] = ["admin"]
        if does_something:
            engine.silent.clear()
        await engine.ask()
        reset = await engine.drive()
        if does_something:
            assert reset.state is ResetState.DONE
        else:
            assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.SEED_NOT_SEEN)
            assert "were met before it ran" in (reset.detail or "")
        assert engine.launched() == 1

    run(scenario())


def test_a1_one_of_two_checks_that_was_not_met_before_is_enough() -> None:
    async def scenario() -> None:
        engine = silent({"rows": {"table": ["roles"]}}, {"rows": {"table": ["people"]}})
        engine.database.tables["roles"] = ["admin"]

        async def fill(_process: Process) -> int:
            engine.database.tables["people"] = ["ann"]
            return 0

        engine.programs["work"] = fill
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_a_command_that_the_catalog_calls_a_migration_is_done_once_the_ledger_is_in_order() -> None:
    async def scenario() -> None:
        engine = silent(migrated=True)
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_a_migration_whose_ledger_nobody_can_look_at_needs_a_sign() -> None:
    async def scenario() -> None:
        engine = silent(migrations=False, migrated=True)
        await engine.ask()
        assert (await engine.drive()).cause is Reason.SEED_NOT_SEEN

    run(scenario())
