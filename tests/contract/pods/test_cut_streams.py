"""Streams that are cut when the command has finished and nobody was told: each is resolved to its exit code."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.adapters.kubernetes.client import ExecLimiter
from daemon.adapters.system.clock import SystemClock
from daemon.engine.commands.follow import CommandFollower
from daemon.engine.commands.termination import Termination
from sandbox.kubernetes.launch import Running
from schemas.plan import Phase, PlannedStep, StepKind
from schemas.resets import Outcome, OutcomeKind
from schemas.wire import AttemptId, ResetId, StepName
from tests.contract.pods.cutting import Cuts, cutting
from tests.contract.pods.stands import ClusterStand, cluster_stand
from tests.memory.launch_guards import OpenGuard, no_database_work
from tests.memory.logs import MemoryLogs

STEP = PlannedStep(name=StepName("seed.app"), phase=Phase.SEED, kind=StepKind.COMMAND, batch=0)
STDOUT, STATUS = 1, 3
TELLS_AN_EXIT = re.compile(rb"look \S+ [01] \d+ ")


class Cutter:
    """Cuts, once for each of an attempt's scripts, right before the client would learn the end."""

    def __init__(self) -> None:
        self.cut: Counter[str] = Counter()
        self._done: set[tuple[str, ...]] = set()

    def __call__(self, command: Sequence[str], message: bytes) -> bool:
        script, told = self._script(command), message[:1]
        if script is None:
            return False
        before_status = told == bytes([STATUS]) and len(message) > 1
        # Some lose the Status only, others also the frame in which the script itself told the exit code.
        before_frame = (
            script == "follow"
            and told == bytes([STDOUT])
            and TELLS_AN_EXIT.search(message) is not None
            and hash(tuple(command)) % 2 == 0
        )
        # The directory, and so the attempt, but not the offset, from which a second look begins.
        which = (script, next(word for word in command if "/resetd." in word))
        if not (before_status or before_frame) or which in self._done:
            return False
        self._done.add(which)
        self.cut[f"{script}, before the {'Status' if before_status else 'frame'}"] += 1
        return True

    def _script(self, command: Sequence[str]) -> str | None:
        text = next((word for word in command if "rd_same" in word), "")
        if "rd_give" in text:
            return "follow"
        return "launch" if "rd_bytes" in text and "RESETD_ATTEMPT=" in " ".join(command) else None


CODES = [number * 7 % 256 for number in range(100)]


@pytest.mark.timeout(300)
async def test_a_hundred_streams_cut_after_the_end_and_before_the_status_are_resolved_to_the_right_exit_code(
    double: Running, tmp_path: Path
) -> None:
    cutter = Cutter()
    await resolved(double, tmp_path, cutter, ExecLimiter(100, 100))
    assert cutter.cut["launch, before the Status"] == 100
    assert cutter.cut["follow, before the Status"] + cutter.cut["follow, before the frame"] == 100
    assert cutter.cut["follow, before the frame"] > 10


@pytest.mark.timeout(300)
async def test_commands_that_are_only_looked_at_are_resolved_as_well_when_every_other_look_is_cut(
    double: Running, tmp_path: Path
) -> None:
    cut = [0, 0]

    def every_other_look(command: Sequence[str], message: bytes) -> bool:
        if "rd_count" not in " ".join(command) or message[:1] != bytes([STATUS]) or len(message) == 1:
            return False
        cut[1] += 1
        cut[0] += cut[1] % 2
        return cut[1] % 2 == 1

    await resolved(double, tmp_path, every_other_look, ExecLimiter(0, 0))
    assert cut[0] > 1


async def resolved(double: Running, directory: Path, cuts: Cuts, streams: ExecLimiter) -> None:
    """Run all commands, and see that each one's own exit code becomes known and none runs twice."""
    async with (
        cutting(double.kubeconfig, directory, cuts) as kubeconfig,
        cluster_stand(kubeconfig, None, streams=streams) as stand,
    ):
        outcomes = await asyncio.gather(*(run(stand, number, code) for number, code in enumerate(CODES)))
        assert await stand.runs() == len(CODES)
    for code, outcome in zip(CODES, outcomes, strict=True):
        kind = OutcomeKind.SUCCEEDED if code == 0 else OutcomeKind.FAILED
        assert (outcome.kind, outcome.exit_code) == (kind, code)


async def run(stand: ClusterStand, number: int, code: int) -> Outcome:
    """Make one attempt as the engine does."""
    clock, logs = SystemClock(), MemoryLogs()
    termination = Termination(stand.pods, logs, clock, no_database_work)
    follower = CommandFollower(stand.pods, logs, clock, termination)
    attempt = AttemptId(f"{stand.token}/seed.app/{number}")
    guard = OpenGuard(attempt, ResetId(stand.token), STEP.name, clock)
    step = STEP.model_copy(update={"argv": tuple(stand.prints(b"some output", code))})
    return await follower.start(await stand.pod(), attempt, step, guard)
