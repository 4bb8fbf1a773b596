"""The output of a command leaves its pod once the outcome is stored, and not before."""

from __future__ import annotations

from daemon.ports.errors import TemporaryError
from schemas.reasons import Reason
from schemas.resets import ActKind, ResetState
from schemas.wire import AttemptId
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

AWAY = TemporaryError(Reason.KUBERNETES_UNREACHABLE, "the API server is away")


async def telling(process: Process) -> int:
    process.write(b"postgres://u:hunter22@db/app\n")
    return 0


async def failing(process: Process) -> int:
    process.write(b"half done\n")
    return 1


def in_the_pod(engine: Engine) -> list[bytes]:
    return [bytes(command.output) for command in engine.service.commands.values()]


def test_h4_the_output_is_removed_from_the_pod_and_kept_by_the_daemon() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(), work=telling)
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        assert in_the_pod(engine) == [b""]
        [attempt] = [launched for launched, _ in engine.pods.launched]
        assert await engine.logs.size(AttemptId(attempt)) > 0

    run(scenario())


def test_h4_what_could_not_be_removed_is_removed_by_the_next_drive_and_changes_no_outcome() -> None:
    async def scenario() -> None:
        engine = Engine(catalog(idempotent="never"), work=failing)
        engine.pods.fail("discard", AWAY)
        await engine.ask()
        assert (await engine.drive()).state is ResetState.FAILED
        assert in_the_pod(engine) == [b"half done\n"]
        engine.programs["work"] = telling
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert in_the_pod(engine) == [b"", b""]

    run(scenario())
