"""Each migration that an image carries is looked for in the ledger. One that shows none is never called migrated."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.reasons import Reason
from schemas.requests import Mode
from schemas.resets import ActKind, ResetState
from schemas.wire import StepName
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

LISTED = {"list": ["carried"], "ledger": {"table": ["ledger"], "column": "name", "pattern": r"\w+"}}
_STEP: dict[str, Any] = {"phase": "seed", "idempotent": "safe", "timeout": 900, "migrated": False}


def carrying(engine: Engine, *names: str) -> None:
    async def carried(process: Process) -> int:
        process.write("".join(f"{name}\n" for name in names).encode())
        return 0

    engine.programs["carried"] = carried


@pytest.mark.parametrize(
    ("ledger", "cause"),
    [
        (["one", "two"], None),
        (["one", "two", "older"], None),
        (["one"], Reason.MIGRATIONS_PENDING),
    ],
)
def test_each_migration_of_the_image_is_looked_for_in_the_ledger(
    ledger: list[str], cause: Reason | None
) -> None:
    async def scenario() -> None:
        engine = Engine(catalog(database={"migrations": LISTED}))
        carrying(engine, "one", "two")
        engine.database.tables["ledger"] = ledger
        await engine.ask()
        ended = await engine.drive()
        assert ended.cause is cause
        assert ended.state is (ResetState.DONE if cause is None else ResetState.FAILED)

    run(scenario())


def test_a3_an_image_that_shows_no_migration_is_refused_before_a_wipe() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(database={"migrations": LISTED}))
        await engine.ask(Mode.WIPE)
        refused = await engine.drive()
        assert (refused.state, refused.cause) == (ResetState.FAILED, Reason.MIGRATIONS_NOT_SHOWN)
        assert engine.launched() == 0
        carrying(engine, "one")
        engine.database.tables["ledger"] = ["one"]
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE

    run(scenario())


def test_a3_migrations_that_vanish_between_plan_and_launch_stop_the_wipe() -> None:
    async def scenario() -> None:
        engine = Engine(
            catalog(database={"migrations": LISTED}, before={"name": "first", **_STEP, "argv": ["empty"]})
        )
        carrying(engine, "one")
        engine.database.tables["ledger"] = ["one"]

        async def empty(_process: Process) -> int:
            carrying(engine)
            return 0

        engine.programs["empty"] = empty
        await engine.ask(Mode.WIPE)
        failed = await engine.drive()
        assert (failed.stopped_at, failed.cause) == (StepName("seed.app.work"), Reason.MIGRATIONS_NOT_SHOWN)
        assert engine.launched() == 0

    run(scenario())
