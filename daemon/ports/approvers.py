"""Who may approve, as the engine asks it when a plan is made."""

from __future__ import annotations

from typing import Protocol


class Approvers(Protocol):
    """The people whom a token lets approve."""

    def of(self, environment: str) -> frozenset[str]:
        """Return the subjects of all tokens that give the role `approver` there and have not expired."""
        ...
