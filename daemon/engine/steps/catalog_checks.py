"""The questions that a step asks in its pod before it runs: whether it has to, and how often it may.

They have three answers: yes, no, and none. A tool that could not reach its database says nothing about it, so only
the exit codes that the catalog defines are answers.
"""

from __future__ import annotations

from daemon.ports.errors import TemporaryError
from daemon.ports.pods.cluster import Pod, Result
from daemon.ports.pods.pods import Pods
from daemon.redaction import redact
from schemas.plan import NOTHING_LEFT, PlannedStep
from schemas.reasons import Reason

CHECK_TIMEOUT = 60.0
"""Seconds for a check that changes nothing; `npx` alone takes 2.3 s on a small machine."""
_SHOWN = 500
"""Last characters of its output that an error shows."""


async def has_to_run(pods: Pods, pod: Pod, step: PlannedStep) -> bool:
    """What the step's `check` says.

    Raises:
        TemporaryError: `check-failed`: it says nothing.
        PortError: it could not be asked.
    """
    result = await pods.read(pod, step.check, timeout=CHECK_TIMEOUT)
    if result.exit_code not in {0, NOTHING_LEFT}:
        raise _no_answer("check", step, result)
    return result.exit_code == 0


async def left_to_undo(pods: Pods, pod: Pod, step: PlannedStep) -> int | None:
    """How often a step that repeats can have something to undo; None: it does not repeat.

    Raises:
        TemporaryError: `check-failed`: its `bound` says nothing.
        PortError: it could not be asked.
    """
    if step.repeat is None:
        return None
    result = await pods.read(pod, step.repeat.bound, timeout=CHECK_TIMEOUT)
    if result.exit_code != 0:
        raise _no_answer("bound", step, result)
    return result.stdout.count(b"[X]")


def _no_answer(which: str, step: PlannedStep, result: Result) -> TemporaryError:
    said = redact((result.stdout + result.stderr).decode(errors="replace")).strip()
    return TemporaryError(
        Reason.CHECK_FAILED,
        f"the {which} of {step.name} ended with {result.exit_code}, which is no answer: {said[-_SHOWN:]}",
    )
