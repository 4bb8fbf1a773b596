"""The check of a step that may only run again where it has to: anything but a plain answer is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from schemas.plan import NOTHING_LEFT
from schemas.reasons import Reason
from schemas.resets import ActKind, OutcomeKind, ResetState, StepState
from tests.memory.processes import Process
from tests.unit.engine.drives.loop import run
from tests.unit.engine.drives.stand import Engine, catalog

UNREACHABLE = b"P1001: Can't reach database server\n"


@dataclass
class Reverting:
    """A tool that undoes one migration at a time. `answers` are the check's next exit codes, then the truth."""

    applied: int = 3
    breaks: int = 0
    """How many reverts end with 1 before one works."""
    answers: list[int] = field(default_factory=list)
    bounds: list[int] = field(default_factory=list)
    """Exit codes of `bound`, then 0."""
    checked: int = 0
    silent: bool = False
    """Whether the tool writes its list elsewhere."""
    mute: bool = False
    """Whether the tool says nothing of what it reverts."""

    async def revert(self, process: Process) -> int:
        if self.breaks:
            self.breaks -= 1
            process.write(UNREACHABLE)
            return 1
        if not self.silent:
            undone = b"Reverted one\n" if self.applied else b"Nothing to revert!\n"
            process.write(b"" if self.mute else undone)
        self.applied = max(self.applied - 1, 0)
        return 0

    async def check(self, process: Process) -> int:
        process.write(b"who knows")
        self.checked += 1
        if self.answers:
            return self.answers.pop(0)
        return 0 if self.applied else NOTHING_LEFT

    async def show(self, process: Process) -> int:
        if self.bounds:
            return self.bounds.pop(0)
        if not self.silent:
            process.write(b"[X] one\n" * self.applied + b"[ ] another\n")
        return 0

    def engine(self) -> Engine:
        step: dict[str, Any] = {
            "idempotent": "rerun-after-check",
            "check": ["check"],
            "repeatUntil": {"until": "Nothing to revert!", "bound": ["show"]},
        }
        return Engine(catalog(**step), work=self.revert, check=self.check, show=self.show)


@pytest.mark.parametrize("code", [1, 2, 126, 127, 137])
def test_a_check_that_fails_is_no_answer_and_is_asked_again(code: int) -> None:
    async def scenario() -> None:
        tool = Reverting(breaks=1, answers=[code])
        engine = tool.engine()
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        assert (tool.applied, tool.checked) == (0, 2)

    run(scenario())


def test_a_check_that_never_answers_stops_the_reset_without_another_launch() -> None:
    async def scenario() -> None:
        tool = Reverting(breaks=1, answers=[1] * 50)
        engine = tool.engine()
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.CHECK_FAILED)
        assert "who knows" in (reset.detail or "")
        assert (engine.launched(), tool.applied) == (1, 3)
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.FAILED
        assert engine.launched() == 1
        tool.answers.clear()
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert tool.applied == 0

    run(scenario())


def test_a_check_that_says_that_nothing_is_left_ends_the_step() -> None:
    async def scenario() -> None:
        tool = Reverting(breaks=1, answers=[NOTHING_LEFT])
        engine = tool.engine()
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        step = await engine.step()
        assert step.state is StepState.SUCCEEDED
        assert step.outcome
        assert step.outcome.kind is OutcomeKind.SUCCEEDED
        assert engine.launched() == 1

    run(scenario())


def test_a_bound_that_can_not_be_read_launches_nothing() -> None:
    async def scenario() -> None:
        tool = Reverting(bounds=[1] * 50)
        engine = tool.engine()
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.CHECK_FAILED)
        assert engine.launched() == 0
        tool.bounds[:] = [1]
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert tool.applied == 0

    run(scenario())


def test_each_repetition_that_succeeds_gives_the_step_all_its_automatic_tries_again() -> None:
    async def scenario() -> None:
        tool = Reverting(applied=6)
        engine = tool.engine()

        async def breaking_every_other_time(process: Process) -> int:
            tool.breaks = engine.launched() % 2
            return await tool.revert(process)

        engine.programs["work"] = breaking_every_other_time
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        assert tool.applied == 0

    run(scenario())


def test_nothing_is_destroyed_whose_backup_is_gone_by_then() -> None:
    async def scenario() -> None:
        async def tidy_up(process: Process) -> int:  # noqa: ARG001 - a program takes its process
            engine.backups.files.clear()
            return 0

        before = {"name": "tidy", "phase": "migrate", "argv": ["tidy"], "databases": [], "idempotent": "safe"}
        engine = Engine(catalog(before=before), tidy=tidy_up)
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.BACKUP_UNPROVEN)
        assert (engine.launched("tidy"), engine.launched("work")) == (1, 0)

    run(scenario())


@pytest.mark.parametrize("stuck_at", [1, 3])
def test_repetitions_that_undo_nothing_end_the_step_with_a_cause(stuck_at: int) -> None:
    async def scenario() -> None:
        tool = Reverting()

        async def revert(process: Process) -> int:
            process.write(b"Reverted one\n")
            tool.applied = max(tool.applied - 1, stuck_at)
            return 0

        tool.revert = revert  # type: ignore[method-assign]
        engine = tool.engine()
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.REPETITION_STUCK)
        assert f"{stuck_at} are left" in (reset.detail or "")
        # One launch for each migration that it undid, and three that undid none.
        assert engine.launched() == 3 - stuck_at + 3

    run(scenario())


def test_repetitions_go_on_where_a_pod_that_restarted_once_has_migrated_by_itself() -> None:
    async def scenario() -> None:
        tool = Reverting()
        undo = tool.revert
        calls = 0

        async def revert(process: Process) -> int:
            nonlocal calls
            calls += 1
            code = await undo(process)
            if calls == 2:
                tool.applied = 3
            return code

        tool.revert = revert  # type: ignore[method-assign]
        engine = tool.engine()
        await engine.ask()
        assert (await engine.drive()).state is ResetState.DONE
        assert (tool.applied, engine.launched()) == (0, 2 + 3 + 1)

    run(scenario())


def test_a_pod_that_migrates_again_and_again_ends_the_repetitions_with_a_cause() -> None:
    async def scenario() -> None:
        tool = Reverting()
        undo = tool.revert

        async def revert(process: Process) -> int:
            code = await undo(process)
            if tool.applied == 1:
                tool.applied = 3
            return code

        tool.revert = revert  # type: ignore[method-assign]
        engine = tool.engine()
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.REPETITION_STUCK)
        assert engine.launched() == 6

    run(scenario())


def test_a2_a_tool_that_lists_nothing_can_not_tell_so_nothing_is_reverted() -> None:
    async def scenario() -> None:
        tool = Reverting(silent=True)
        engine = tool.engine()
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.CHECK_FAILED)
        assert "can't be told" in (reset.detail or "")
        assert (engine.launched(), tool.applied) == (0, 3)
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.FAILED
        assert (engine.launched(), tool.applied) == (0, 3)

    run(scenario())


def test_a2_a_step_whose_repetitions_are_exhausted_has_a_cause_and_resume_asks_the_check_first() -> None:
    async def scenario() -> None:
        tool = Reverting(mute=True)
        engine = tool.engine()
        await engine.ask()
        reset = await engine.drive()
        assert (reset.state, reset.cause) == (ResetState.FAILED, Reason.REPETITION_STUCK)
        assert reset.hint
        assert tool.applied == 0
        launched = engine.launched()
        await engine.act(ActKind.RESUME)
        assert (await engine.drive()).state is ResetState.DONE
        assert (engine.launched(), tool.checked) == (launched, 1)

    run(scenario())
