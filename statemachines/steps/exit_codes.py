"""What the end of a command means: from its exit code and last output to an outcome with cause and hint."""

from __future__ import annotations

import re

from schemas.patterns import Pattern, PatternError
from schemas.plan import Failure, Phase, PlannedStep
from schemas.reasons import TEXTS, Reason
from schemas.resets import Outcome, OutcomeKind
from statemachines.steps.known_failures import known_failure

KILLED = 137
"""128 + SIGKILL: almost always sent by the kernel because the container used too much memory."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
"""Terminal colours, which some loggers print into pipes as well."""

SHOWN_OF_A_LINE = 2_000
"""Characters of a line that an outcome shows."""

_LOST = "not all of its output was kept, so that a line which means failure may be missing"
_HINT_OF_LOST = (
    "`resetd logs ID STEP` has what was kept: 16 MiB, if the disk takes it. Then `resetd resume ID`."
)
_HINT_OF_SILENCE = (
    "Does the tool write its answer elsewhere (a logger with a file, another format)? Let it print the list."
)

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
    try:
        line = _failing_line(step, printed)
        shown = step.pass_on is None or Pattern.of(step.pass_on).first_line(printed) is not None
    except PatternError as error:
        return _unclear(
            tail, exit_code, str(error), "The catalog's pattern has to be one of RE2's: plan again."
        )
    if exit_code == 0 and line is None:
        if step.fail_on is not None and not whole:
            return _unclear(tail, exit_code, _LOST, _HINT_OF_LOST, cause=_cause(step))
        if not shown:
            return _unclear(
                tail, exit_code, f"no line of its output matches {step.pass_on}", _HINT_OF_SILENCE
            )
        return Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0, facts=_success_facts(step, tail))
    if line is not None and line not in tail:
        tail = f"{line[:SHOWN_OF_A_LINE]}\n[...]\n{tail}"
    cause, hint, temporary = _meaning(step, exit_code, known_failure(step.failures, tail))
    return Outcome(
        kind=OutcomeKind.FAILED,
        exit_code=exit_code,
        cause=cause,
        detail=tail or f"exit code {exit_code}, without any output",
        hint=hint,
        temporary=temporary,
    )


def _unclear(
    tail: str, exit_code: int, why: str, hint: str, *, cause: Reason = Reason.CHECK_FAILED
) -> Outcome:
    """The outcome of a command whose output leaves open whether it did its work: silence is never taken for yes."""
    return Outcome(
        kind=OutcomeKind.FAILED,
        exit_code=exit_code,
        cause=cause,
        detail=f"can't tell: {why}\n{tail}".rstrip(),
        hint=hint,
    )


def _success_facts(step: PlannedStep, tail: str) -> dict[str, bool]:
    return {"repeat": True} if step.repeat is not None and step.repeat.until not in tail else {}


def _failing_line(step: PlannedStep, output: str) -> str | None:
    """Find the first line that means failure although the exit code is 0."""
    return None if step.fail_on is None else Pattern.of(step.fail_on).first_line(_COLOURS.sub("", output))


def _meaning(step: PlannedStep, exit_code: int, known: Failure | None) -> tuple[Reason, str, bool]:
    if known is not None:
        return Reason(known.reason), known.hint, known.temporary
    if exit_code == KILLED:
        return Reason.OUT_OF_MEMORY, "It was killed (signal 9): look at the container's memory limit.", False
    if exit_code in {NOT_EXECUTABLE, NOT_FOUND}:
        return Reason.COMMAND_FAILED, "The image lacks a program that the catalog's command needs.", False
    reason = _cause(step)
    if step.phase is Phase.SEED:
        return reason, "`resetd logs ID STEP` shows all of its output; then `resetd resume ID`.", False
    return reason, f"{TEXTS[reason]} `resetd doctor ENV` says more.", False


def _cause(step: PlannedStep) -> Reason:
    return Reason.VERIFY_FAILED if step.phase is Phase.VERIFY else Reason.COMMAND_FAILED
