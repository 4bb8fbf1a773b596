"""Removes the output of commands from their pods, once their outcomes are stored.

Nobody masks what stands in a pod. What the daemon keeps of it was masked, and outlives the pod.

- It is done beside the steps: no step waits for it, and no outcome depends on it.
- What was not done before a crash is done by the reset's next drive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType

import structlog

from daemon.engine.leased_reset import LeasedReset
from daemon.ports.errors import PortError
from daemon.ports.pods.commands import PodCommands
from schemas.resets import Attempt, Control, OutcomeKind

log = structlog.get_logger()

_MOST = 200
"""Attempts of former drives that are looked at, the newest ones."""


class RecordedOutput:
    """One for each drive of a reset, to be closed with it."""

    def __init__(self, leased: LeasedReset, pods: PodCommands) -> None:
        self._leased = leased
        self._pods = pods
        self._former_began = False
        self._removing: set[asyncio.Task[None]] = set()

    def remove(self, attempt: Attempt) -> None:
        """Begin to remove the output of an attempt. Call once its outcome is stored."""
        if (control := _place(attempt)) is not None:
            self._begin([control])

    async def remove_former(self) -> None:
        """Begin to remove what former drives left, once in a drive.

        Raises:
            PortError: the state database does not answer.
        """
        if self._former_began:
            return
        self._former_began = True
        attempts = (await self._leased.attempts())[-_MOST:]
        self._begin([control for attempt in attempts if (control := _place(attempt)) is not None])

    async def close(
        self, error: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Wait for what was begun. A drive that is interrupted leaves it to the next one."""
        if error is not None:
            for task in self._removing:
                task.cancel()
        await asyncio.gather(*self._removing, return_exceptions=True)

    def _begin(self, controls: Sequence[Control]) -> None:
        if controls:
            task = asyncio.create_task(self._remove(controls), name="remove output")
            self._removing.add(task)
            task.add_done_callback(self._removing.discard)

    async def _remove(self, controls: Sequence[Control]) -> None:
        try:
            await self._pods.discard(controls)
        except PortError as error:
            log.info("output.left-in-pod", reason=error.reason.value, detail=error.detail)


def _place(attempt: Attempt) -> Control | None:
    """Where the output of an attempt is that is over for sure; None: nowhere, or it may go on."""
    outcome = attempt.outcome
    over = outcome is not None and outcome.kind is not OutcomeKind.UNKNOWN
    return attempt.control if over else None
