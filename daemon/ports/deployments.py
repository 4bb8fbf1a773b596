"""Deployments: whether an environment is settled enough to be reset, as ArgoCD says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Gate:
    """`open`, or the reason why not, for people."""

    open: bool
    reason: str = ""


class Deployments(Protocol):
    """Asked before a reset leaves the queue and for the doctor."""

    async def gate(self, environment: str) -> Gate:
        """Open when the Application is not deleting, runs no operation, is Synced and Healthy, has no error
        condition and a fresh status; open also where there is no ArgoCD (settings).

        Raises:
            TemporaryError: `kubernetes-unreachable`.
            PermanentError: `kubernetes-forbidden`.
        """
        ...
