"""The store, as people ask it to hold resets back, and as the engine asks it what does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from schemas.audit import AuditEntry
from schemas.freezes import Freeze, KeptFreeze
from schemas.holds import Hold, KeptHold
from schemas.records import Message
from schemas.wire import ResetId, Time


@dataclass(frozen=True)
class StandingFreeze:
    """A freeze that nobody ended."""

    freeze: Freeze
    remaining: float
    """Seconds until it expires by the store's clock; below 0 once it has."""


@dataclass(frozen=True)
class StandingHold:
    """A hold that nobody ended. It may have expired."""

    hold: KeptHold
    remaining: float
    """Seconds until it expires by the store's clock; below 0 once it has."""
    at_work: tuple[ResetId, ...] = ()
    """Where it is not granted: the resets that it waits for."""


@dataclass(frozen=True)
class HoldAnswer:
    """What came of asking for a hold."""

    given: KeptHold | None = None
    """The hold, granted or waiting; None where it is refused, and nothing is stored."""
    at_work: tuple[ResetId, ...] = ()
    """The resets that it waits for, or because of which it is refused."""
    held: KeptHold | None = None
    """Another person's hold, because of which it is refused."""


@dataclass(frozen=True)
class HoldChanges:
    """What time made of holds."""

    expired: tuple[KeptHold, ...] = ()
    granted: tuple[KeptHold, ...] = ()


class RestraintStore(Protocol):
    """Keeps freezes and holds. Raises TemporaryError (`unavailable`) when the database does not answer.

    - A freeze counts for each change that `LeaseStore.save` stores after it, wherever that is asked.
    - A hold counts for each call of `LeaseStore.lock` after it. It takes no lock from a reset that has it.
    - Holds end by the database's clock. One that was seen to be over stays so.
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

    async def hold(self, hold: Hold, entry: AuditEntry, *, after: bool) -> HoldAnswer:
        """Give a person the locks of an environment, with a line of the audit.

        - It is refused where another person holds something of it.
        - Where a reset is at work there it is refused, or waits for that with `after`.
        - A hold that the person has there gets the new end and reason.
        """
        ...

    async def unhold(self, hold_id: str, entry: AuditEntry) -> KeptHold | None:
        """End a hold in the name of the audit's actor. None, and nothing stored, where it is over."""
        ...

    async def holds(self) -> tuple[StandingHold, ...]:
        """Return the holds that nobody ended, granted or waiting, and that expired no longer than a day ago."""
        ...

    async def kept_holds(self, *, limit: int = 100) -> tuple[KeptHold, ...]:
        """Return holds, newest first, also those that are over."""
        ...

    async def settle_holds(self) -> HoldChanges:
        """End the holds whose time is over, and grant those whose resets are not at work any more."""
        ...

    async def tell_hold_end(self, hold_id: str, expires_at: Time, message: Message) -> bool:
        """Put a message into the outbox, once for each end of a hold. False, and nothing stored, where it is told."""
        ...
