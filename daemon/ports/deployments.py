"""Deployments: whether ArgoCD says that an environment may be reset now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from schemas.wire import ResetId


@dataclass(frozen=True)
class Gate:
    """Open, or closed with the reason, for people."""

    open: bool
    reason: str = ""
    held_by: tuple[ResetId, ...] = ()
    """The resets that hold the environment's automated sync: ArgoCD calls it settled once they have released it."""


class Deployments(Protocol):
    """Tells whether an environment may be reset. It is asked before a reset leaves the queue, and by the doctor."""

    async def gate(self, environment: str) -> Gate:
        """Return whether the environment may be reset.

        The gate is open where there is no ArgoCD (settings), or all of this holds of the environment's Application:

        - It is not being deleted, and runs no operation.
        - It is Synced and Healthy, and has no error condition.
        - Its status is fresh.
        - No reset holds its automated sync.

        Raises:
            TemporaryError: `kubernetes-unreachable`.
            PermanentError: `kubernetes-forbidden`.
        """
        ...
