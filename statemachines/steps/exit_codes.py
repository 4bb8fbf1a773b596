"""What the end of a command means: from its exit code and last output to an outcome with cause and hint."""

from __future__ import annotations

import re

from schemas.plan import Failure, Phase, PlannedStep
from schemas.reasons import TEXTS, Reason
from schemas.resets import Outcome, OutcomeKind
from statemachines.steps.known_failures import known_failure

KILLED = 137
"""128 + SIGKILL: almost always sent by the kernel because the container used too much memory."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
"""Terminal colours, which some loggers print into pipes as well."""

NOT_EXECUTABLE = 126
"""The shell's exit code for a program that it may not execute."""
NOT_FOUND = 127
"""The shell's exit code for a program that does not exist."""


def outcome_of_command(
    step: PlannedStep, exit_code: int, tail: str, output: str | None = None, *, whole: bool = True
) -> Outcome:
    """Return the outcome of a command that ended with this exit code.

    `tail` is its last output, from which secrets were removed. Lines that mean failure (`failOn`), or without which
    nothing was shown (`passOn`), are looked for in `output`, or in the tail where none is given. Where `output` is not
    `whole` and has no line of `failOn`, the command has failed all the same, because the line may be in the part that
    is missing. A command of a `repeat` step that has to run again succeeded, with the fact `repeat: true`.
    """
    printed = tail if output is None else output
    line = _failing_line(step, printed, whole=whole)
    if exit_code == 0 and line is None and not _shows_anything(step, printed):
        return _nothing_shown(step, tail)
    if exit_code == 0 and line is None:
        return Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0, facts=_success_facts(step, tail))
    if line is not None and line not in tail:
        tail = f"{line}\n[...]\n{tail}"
    cause, hint, temporary = _meaning(step, exit_code, known_failure(step.failures, tail))
    return Outcome(
        kind=OutcomeKind.FAILED,
        exit_code=exit_code,
        cause=cause,
        detail=tail or f"exit code {exit_code}, without any output",
        hint=hint,
        temporary=temporary,
    )


def _shows_anything(step: PlannedStep, output: str) -> bool:
    """Whether the output has a line without which the command says nothing about what it was asked."""
    if step.pass_on is None:
        return True
    pattern = re.compile(step.pass_on)
    return any(pattern.search(line) for line in output.splitlines())


def _nothing_shown(step: PlannedStep, tail: str) -> Outcome:
    """The outcome of a command that exited 0 and left its question open: silence is never taken for yes."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        exit_code=0,
        cause=Reason.CHECK_FAILED,
        detail=f"can't tell: no line of its output matches {step.pass_on}\n{tail}".rstrip(),
        hint="Does the tool write its answer elsewhere (a logger with a file, another format)? Let it print the list.",
    )


def _success_facts(step: PlannedStep, tail: str) -> dict[str, bool]:
    return {"repeat": True} if step.repeat is not None and step.repeat.until not in tail else {}


def _failing_line(step: PlannedStep, output: str, *, whole: bool) -> str | None:
    """Find the first line that means failure although the exit code is 0."""
    if step.fail_on is None:
        return None
    pattern = re.compile(step.fail_on)
    lines = (_COLOURS.sub("", line) for line in output.splitlines())
    found = next((line for line in lines if pattern.search(line)), None)
    # What the daemon sees in the database itself says more than a line that may have been lost.
    if found is None and not whole and not step.checks:
        return "Not all of its output was kept: whether a line of it means failure can't be told."
    return found


def _meaning(step: PlannedStep, exit_code: int, known: Failure | None) -> tuple[Reason, str, bool]:
    if known is not None:
        return Reason(known.reason), known.hint, known.temporary
    if exit_code == KILLED:
        return Reason.OUT_OF_MEMORY, "It was killed (signal 9): look at the container's memory limit.", False
    if exit_code in {NOT_EXECUTABLE, NOT_FOUND}:
        return Reason.COMMAND_FAILED, "The image lacks a program that the catalog's command needs.", False
    reason = Reason.VERIFY_FAILED if step.phase is Phase.VERIFY else Reason.COMMAND_FAILED
    if step.phase is Phase.SEED:
        return reason, "`resetd logs ID STEP` shows all of its output; then `resetd resume ID`.", False
    return reason, f"{TEXTS[reason]} `resetd doctor ENV` says more.", False
