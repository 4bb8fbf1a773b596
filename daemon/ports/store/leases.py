"""The store, as the engine asks it: leases, the commits of their holders, and locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from daemon.ports.databases import Backup
from schemas.audit import AuditEntry
from schemas.plan import Plan
from schemas.resets import Act, Attempt, HistoryEntry, Reset, Step
from schemas.wire import ResetId, ResourceKey, Time

LONGEST_SLEEP = timedelta(minutes=10)
"""For which a reset that waits is left alone. `wake_at` is by its holder's clock, which may be wrong by hours."""


@dataclass(frozen=True)
class Lease:
    """A claim of a reset; `fence` is checked in every write."""

    reset_id: ResetId
    owner: str
    fence: int


@dataclass(frozen=True)
class Claimed:
    """A reset with all that the driver needs to go on, read in the claim's transaction."""

    reset: Reset
    lease: Lease
    plan: Plan | None
    steps: tuple[Step, ...]
    open_attempts: tuple[Attempt, ...]
    """Those without an outcome."""
    acts: tuple[Act, ...]
    """Unread ones: id above `reset.acts_seen`."""


@dataclass(frozen=True)
class Change:
    """One commit of the lease holder: all of it or nothing.

    `reset` is the row as it is to become, its `version` the one that was read; the store compares
    version and fence, stores version + 1 and answers the stored row.
    """

    reset: Reset
    lease: Lease
    plan: Plan | None = None
    """A new plan: replaces steps, too."""
    steps: tuple[Step, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    """Each is stored and put into the outbox as a status event, in order; sequences are the reset's own."""
    backups: tuple[Backup, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    """Appended to the reset's chain, in order."""
    release_locks: bool = False
    release_lease: bool = False
    """Let the lease go; the reset is claimed again at `reset.wake_at` or when an act comes."""


@dataclass(frozen=True)
class LockAnswer:
    """Whether all locks are held now; if not, who holds or stands before us on which resources."""

    granted: bool
    ticket: int
    resources: tuple[ResourceKey, ...] = ()
    held_by: tuple[ResetId, ...] = ()


class LeaseStore(Protocol):
    """Leases, commits and locks. Raises TemporaryError (`unavailable`) when the database does not answer."""

    async def claim(
        self, owner: str, *, ttl: float, limit: int, excluding: frozenset[ResetId]
    ) -> tuple[Claimed, ...]:
        """Claim up to `limit` resets that are due: not at rest, lease free or expired, `wake_at` reached or further
        away than LONGEST_SLEEP; or with unread acts, whatever their state. Oldest first. The fence grows with each
        claim.
        """
        ...

    async def renew(self, leases: Sequence[Lease], *, ttl: float) -> frozenset[ResetId]:
        """Renew; answers those that are still ours."""
        ...

    async def release_all(self) -> int:
        """Release every lease at once, that of the outbox too.

        For the embedded database only, whose file lock proves the former holder dead.
        """
        ...

    async def seize(self, owner: str, reset_ids: Sequence[ResetId], *, ttl: float) -> tuple[Claimed, ...]:
        """Claim exactly these, whatever their state and whoever holds them: only where nobody may drive anything,
        for adopting a restored state.
        """
        ...

    async def save(self, change: Change) -> Reset:
        """Compare and set.

        Raises:
            LeaseLostError: version or fence is another one; nothing was written.
        """
        ...

    async def unread_acts(self, reset_id: ResetId, after: int) -> tuple[Act, ...]:
        """Acts with a larger id, in order."""
        ...

    async def lock(self, lease: Lease, keys: Sequence[ResourceKey]) -> LockAnswer:
        """All keys or none, first come first served by ticket; the first call draws the ticket.

        Raises:
            LeaseLostError: as `save`.
        """
        ...

    async def remember_protected(self, keys: Mapping[ResourceKey, str], *, now: Time) -> None:
        """Remember that a protected environment (the value) was seen to use each resource."""
        ...

    async def protected(self) -> Mapping[ResourceKey, str]:
        """All remembered ones, with the environment that was seen first."""
        ...
