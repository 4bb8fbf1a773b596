"""What the exit code of a command means by the catalog: known failures, and lines that mean failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from daemon.engine.pod_choice import container_name
from daemon.ports.errors import PortError
from daemon.ports.logs import Logs
from schemas.plan import PlannedStep
from schemas.resets import Attempt, Outcome, OutcomeKind
from statemachines.steps.container_scope import with_container
from statemachines.steps.exit_codes import outcome_of_command

Confirm = Callable[[PlannedStep, Attempt, Outcome], Awaitable[Outcome]]
"""Looks at what a command that ended well has left, and answers its outcome."""

_MUCH_OUTPUT = 64 * 1024
"""Characters whose search takes longer than anything else should wait."""

SHOWN_LINES = 20
"""Last lines of output that an outcome shows."""


class ExitInterpreter:
    """Reads the kept output, lets the core decide, and looks into the databases before it calls a command done."""

    def __init__(self, logs: Logs, confirm: Confirm) -> None:
        self._logs = logs
        self._confirm = confirm

    async def interpret(self, step: PlannedStep, attempt: Attempt | None, outcome: Outcome) -> Outcome:
        """The outcome with its meaning; one without an exit code stays as it is."""
        if attempt is not None and outcome.kind is not OutcomeKind.UNKNOWN:
            await self._logs.settle(attempt.id)
        if attempt is None or outcome.exit_code is None:
            return outcome
        output, whole = None, True
        reads_whole = step.fail_on is not None or step.pass_on is not None
        try:
            tail = await self._logs.tail(attempt.id, SHOWN_LINES)
            if reads_whole:
                output, whole = await self._logs.whole(attempt.id)
        except PortError as error:
            # The command ran: lost output must not make it one that never started.
            tail, output, whole = f"its output can't be read: {error.detail}", "", False
        meaning = await _meaning(step, outcome.exit_code, tail, output, whole=whole)
        if meaning.kind is OutcomeKind.SUCCEEDED and not meaning.facts.get("repeat"):
            meaning = await self._confirm(step, attempt, meaning)
        if attempt.control is None:
            return meaning
        return with_container(step, meaning, container_name(attempt.control))


async def _meaning(step: PlannedStep, code: int, tail: str, output: str | None, *, whole: bool) -> Outcome:
    """The core's decision; much output is searched in a thread, and RE2 lets go of the interpreter's lock for it."""
    if output is None:
        return outcome_of_command(step, code, tail)
    if len(output) <= _MUCH_OUTPUT:
        return outcome_of_command(step, code, tail, output, whole=whole)
    return await asyncio.to_thread(outcome_of_command, step, code, tail, output, whole=whole)
