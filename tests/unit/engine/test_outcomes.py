"""What the end of a command means, and what has to hold before it is launched."""

from __future__ import annotations

from daemon.adapters.memory.logs import MemoryLogs
from daemon.adapters.memory.processes import Process
from daemon.ports.errors import TemporaryError
from schemas.plan import StepKind
from schemas.reasons import Reason
from schemas.resets import ResetState, StepState

from .loop import run
from .stand import Engine, catalog

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
