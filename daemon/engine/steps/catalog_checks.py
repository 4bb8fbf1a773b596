"""The catalog's checks of a step, asked in its pod before the step runs: whether it has to run, and how often it may.

A check has three answers: yes, no, and none. A tool that could not reach its database says nothing about the database.
So only the exit codes that the catalog defines are answers.
"""

from __future__ import annotations

from daemon.engine.facts.short_answers import no_answer
from daemon.ports.errors import PermanentError
from daemon.ports.pods.cluster import Cluster, Pod
from schemas.plan import NOTHING_LEFT, PlannedStep
from schemas.reasons import Reason

CHECK_TIMEOUT = 60.0
"""Seconds that a check gets; `npx` alone takes 2.3 s on a small machine."""


async def has_to_run(cluster: Cluster, pod: Pod, step: PlannedStep) -> bool:
    """Whether the command has to run, by the step's `check`.

    Raises:
        TemporaryError: `check-failed`: the check gives no answer.
        PortError: the check could not be asked.
    """
    result = await cluster.read(pod, step.check, timeout=CHECK_TIMEOUT)
    if result.exit_code not in {0, NOTHING_LEFT}:
        raise no_answer(f"the check of {step.name}", result)
    return result.exit_code == 0


async def left_to_undo(cluster: Cluster, pod: Pod, step: PlannedStep) -> int | None:
    """How often a step that repeats can find something to undo; None: the step does not repeat.

    Raises:
        TemporaryError: `check-failed`: the step's `bound` gives no answer.
        PermanentError: `check-failed`: the `bound` ends with 0 and lists nothing.
        PortError: the `bound` could not be asked.
    """
    if step.repeat is None:
        return None
    result = await cluster.read(pod, step.repeat.bound, timeout=CHECK_TIMEOUT)
    if result.exit_code != 0:
        raise no_answer(f"the bound of {step.name}", result)
    lines = result.stdout.splitlines()
    applied = sum(b"[X]" in line for line in lines)
    if not applied and not any(b"[ ]" in line for line in lines):
        # Nothing listed is silence: the tool may write its list elsewhere. Nothing applied has lines with `[ ]`.
        raise PermanentError(
            Reason.CHECK_FAILED,
            f"the bound of {step.name} lists neither [X] nor [ ]: what is left to undo can't be told",
            hint="Let the tool print its list (TypeORM: no logger with a file); then `resetd resume ID`.",
        )
    return applied
