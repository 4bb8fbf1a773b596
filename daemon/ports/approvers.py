"""Who may approve, as the engine asks it when a plan is made and before a consent is used."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Approvers(Protocol):
    """The people whom a token lets approve."""

    def of(self, environments: Collection[str]) -> frozenset[str]:
        """Return the subjects of all tokens that give the role `approver` in each of them and have not expired.

        One token has to give it in all: each call is made with one.
        """
        ...
