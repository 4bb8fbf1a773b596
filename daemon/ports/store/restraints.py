"""The store, as people ask it to hold resets back, and as the engine asks it what does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from schemas.audit import AuditEntry
from schemas.freezes import Freeze, KeptFreeze


@dataclass(frozen=True)
class StandingFreeze:
    """A freeze that nobody ended."""

    freeze: Freeze
    remaining: float
    """Seconds until it expires by the store's clock; below 0 once it has."""


class RestraintStore(Protocol):
    """Keeps freezes. Raises TemporaryError (`unavailable`) when the database does not answer.

    A freeze counts for each change that `LeaseStore.save` stores after it, wherever that is asked.
    """

    async def freeze(self, freeze: Freeze, entry: AuditEntry) -> None:
        """Store a freeze with its line of the audit."""
        ...

    async def unfreeze(self, environment: str | None, entry: AuditEntry) -> tuple[Freeze, ...]:
        """End all freezes of exactly this environment, or those of all environments (None), and return them.

        They end in the name of the audit's actor. Where there is none in force, nothing is stored.
        """
        ...

    async def freezes(self) -> tuple[StandingFreeze, ...]:
        """Return the freezes that nobody ended, and that expired no longer than a day ago, oldest first."""
        ...

    async def kept_freezes(self, *, limit: int = 100) -> tuple[KeptFreeze, ...]:
        """Return freezes, newest first, also those that ended."""
        ...
