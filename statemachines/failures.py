"""What the end of a command means: exit code and last output in, an outcome with cause and hint out."""

from __future__ import annotations

import re

from schemas.plan import Failure, Phase, PlannedStep
from schemas.reasons import TEXTS, Reason
from schemas.resets import Outcome, OutcomeKind

KILLED = 137
"""128 + SIGKILL: almost always the kernel, for memory."""

NOT_EXECUTABLE = 126
NOT_FOUND = 127


def classify(step: PlannedStep, exit_code: int, tail: str) -> Outcome:
    """The outcome of a command that ended with this code. `tail` is its last output, secrets removed already.

    A command that a `repeat` step has to run again succeeded with the fact `repeat: true`.
    """
    if exit_code == 0 and not _says_failure(step, tail):
        return Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0, facts=_success_facts(step, tail))
    known = next((one for one in step.failures if re.search(one.pattern, tail, re.MULTILINE)), None)
    cause, hint, temporary = _meaning(step, exit_code, known)
    return Outcome(
        kind=OutcomeKind.FAILED,
        exit_code=exit_code,
        cause=cause,
        detail=tail or f"exit code {exit_code}, without any output",
        hint=hint,
        temporary=temporary,
    )


def _success_facts(step: PlannedStep, tail: str) -> dict[str, bool]:
    return {"repeat": True} if step.repeat is not None and step.repeat.until not in tail else {}


def _says_failure(step: PlannedStep, tail: str) -> bool:
    return step.fail_on is not None and re.search(step.fail_on, tail, re.MULTILINE) is not None


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
