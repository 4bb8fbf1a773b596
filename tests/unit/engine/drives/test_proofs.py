"""A backup is restored to prove it before anything is destroyed: planned, recorded, killed and resumed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from daemon.ports.errors import PermanentError
from schemas.audit import AuditAction
from schemas.backups import Proof
from schemas.reasons import Reason
from schemas.resets import ActKind, ResetState, StepState
from schemas.wire import StepName
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

PROVE = StepName("prove.app")


def engine() -> Engine:
    loaded = catalog(idempotent="never", destructive=True)
    return Engine(replace(loaded, catalog=loaded.catalog.model_copy(update={"proof": Proof.RESTORED})))


def test_the_receipt_of_a_restore_is_recorded_before_anything_is_destroyed() -> None:
    async def story() -> None:
        made = engine()
        await made.ask()
        reset = await made.drive()
        assert reset.state is ResetState.DONE
        [row] = await made.store.backups()
        assert (row["proof"], row["scratch"], row["proof_seconds"]) == (Proof.RESTORED, "scratch:5432", 1.5)
        assert made.proofs.proven == [row["sha256"]]
        [line] = [each for each in await made.store.audit() if each.action is AuditAction.PROVE]
        assert (line.facts["sha256"], line.facts["scratch"]) == (row["sha256"], "scratch:5432")

    run(story())


def test_a_dump_that_brings_back_less_fails_the_reset_before_anything_is_destroyed() -> None:
    async def story() -> None:
        made = engine()

        async def spoil() -> None:
            made.proofs.poorer.update(made.backups.files)

        made.proofs.meanwhile = spoil
        await made.ask()
        reset = await made.drive()
        assert (reset.state, reset.cause, reset.stopped_at) == (
            ResetState.FAILED,
            Reason.BACKUP_UNPROVEN,
            PROVE,
        )
        assert not reset.destroyed

    run(story())


def test_without_a_scratch_server_no_plan_is_made() -> None:
    async def story() -> None:
        made = engine()
        made.proofs.refusal = PermanentError(Reason.NO_SCRATCH_SERVER, "no scratch server is configured")
        await made.ask()
        reset = await made.drive()
        assert reset.cause is Reason.NO_SCRATCH_SERVER
        assert not made.backups.files

    run(story())


def test_a_pg_dump_that_is_older_than_the_server_is_refused_at_planning() -> None:
    async def story() -> None:
        made = engine()
        made.backups.newest = 100_000
        await made.ask()
        reset = await made.drive()
        assert reset.cause is Reason.PG_DUMP_TOO_OLD
        assert "100000" in (reset.detail or "")

    run(story())


def test_a_proof_is_neither_skipped_nor_resolved_and_runs_again_after_a_kill() -> None:
    async def story() -> None:
        made = engine()
        begun = asyncio.Event()

        async def forever() -> None:
            begun.set()
            await asyncio.Event().wait()

        made.proofs.meanwhile = forever
        await made.ask()
        await made.drive_until(begun.is_set)
        assert (await made.step(PROVE)).state is StepState.RUNNING
        await made.act(ActKind.SKIP, step=PROVE)
        made.proofs.meanwhile = None
        reset = await made.drive()
        assert (reset.state, (await made.step(PROVE)).state) == (ResetState.DONE, StepState.SUCCEEDED)

    run(story())
