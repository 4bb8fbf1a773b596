"""Deployments: whether ArgoCD says that an environment may be reset now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Gate:
    """Open, or closed with the reason, for people."""

    open: bool
    reason: str = ""


class Deployments(Protocol):
    """Tells whether an environment may be reset. It is asked before a reset leaves the queue, and by the doctor."""

    async def gate(self, environment: str) -> Gate:
        """Return whether the environment may be reset.

        The gate is open where there is no ArgoCD (settings), or all of this holds of the environment's Application:

        - It is not being deleted, and runs no operation.
        - It is Synced and Healthy, and has no error condition.
        - Its status is fresh.

        Raises:
            TemporaryError: `kubernetes-unreachable`.
            PermanentError: `kubernetes-forbidden`.
        """
        ...
