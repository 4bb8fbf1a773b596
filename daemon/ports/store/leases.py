"""The store, as the engine asks it: leases, the commits of their holders, acts and locks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from daemon.ports.backups import Backup
from schemas.audit import AuditEntry
from schemas.holds import Hold
from schemas.learned import Learned, LearnedKey
from schemas.plan import Plan
from schemas.resets import Act, Attempt, HistoryEntry, Reset, Step
from schemas.wire import ResetId, ResourceKey

LONGEST_SLEEP = timedelta(minutes=10)
"""How long a waiting reset is left alone at most. `wake_at` is by its lease holder's clock, which may be hours off."""


@dataclass(frozen=True)
class Lease:
    """A claim of a reset. `owner` and `fence` are compared in every write."""

    reset_id: ResetId
    owner: str
    fence: int


@dataclass(frozen=True)
class Claimed:
    """A claimed reset, with all that its driver needs to go on, read in the claim's transaction."""

    reset: Reset
    lease: Lease
    plan: Plan | None
    steps: tuple[Step, ...]
    open_attempts: tuple[Attempt, ...]
    """The attempts without an outcome."""
    acts: tuple[Act, ...]
    """The unread acts: those with an id above `reset.acts_seen`."""


@dataclass(frozen=True)
class Change:
    """One commit of the lease holder, stored whole or not at all."""

    reset: Reset
    """The reset as it is to become, but for its `version`, which is the one that was read."""
    lease: Lease
    plan: Plan | None = None
    """A new plan. It replaces the steps, too."""
    steps: tuple[Step, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    """Lines of history, with the reset's own sequences. Each also becomes a status event in the outbox, in order."""
    backups: tuple[Backup, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    """Lines for the reset's chain of the audit, in order."""
    learned: tuple[Learned, ...] = ()
    """What is learned of steps. Each replaces what was learned under its key."""
    forgotten: tuple[LearnedKey, ...] = ()
    """Keys under which nothing is kept any more."""
    crosses: frozenset[str] = frozenset()
    """Where the change records the first attempt to destroy something: the environments that it concerns."""
    release_locks: bool = False
    release_lease: bool = False
    """Let the lease go. The reset is claimed again at `reset.wake_at`, or when an act comes."""


@dataclass(frozen=True)
class LockAnswer:
    """Whether all locks are granted; if not, the resources that others hold or wait for before us, and those others."""

    granted: bool
    ticket: int
    resources: tuple[ResourceKey, ...] = ()
    held_by: tuple[ResetId, ...] = ()
    hold: Hold | None = None
    """The person's hold that keeps the reset away."""


class LeaseStore(Protocol):
    """Gives leases, and stores what their holders do.

    - Every method raises TemporaryError (`unavailable`) when the database does not answer.
    - A reset has one holder at a time, by the database's clock.
    - Whoever lost a lease writes nothing more under it: the fence grows with each claim.
    """

    async def claim(
        self, owner: str, *, ttl: float, limit: int, excluding: frozenset[ResetId]
    ) -> tuple[Claimed, ...]:
        """Claim up to `limit` resets that are due, oldest first.

        - A reset is due only where its lease is free or expired.
        - It is due where it has unread acts, whatever its state.
        - It is due where it is not at rest, or asked to be woken, and its `wake_at` is reached or missing.
        - A `wake_at` further away than LONGEST_SLEEP counts as reached.
        - The fence grows with each claim.
        """
        ...

    async def renew(self, leases: Sequence[Lease], *, ttl: float) -> frozenset[ResetId]:
        """Renew leases for `ttl` seconds, and return the resets whose leases are still ours."""
        ...

    async def release_all(self) -> int:
        """Release every lease at once, that of the outbox too, and return how many resets had one.

        It is for the embedded database only, whose file lock proves the former holder dead.
        """
        ...

    async def seize(self, owner: str, reset_ids: Sequence[ResetId], *, ttl: float) -> tuple[Claimed, ...]:
        """Claim exactly these resets, whatever their state and whoever holds them.

        It is for the adoption of a restored state, while nobody may drive anything.
        """
        ...

    async def save(self, change: Change) -> Reset:
        """Compare and set: store a change where owner, fence and version are as given, and return the stored reset.

        The stored reset has the next version.

        Raises:
            LeaseLostError: owner, fence or version is another one; nothing was written.
            TemporaryError: `frozen`: the change crosses, and a freeze is in force by the database's clock that was
                stored before; nothing was written.
            ValueError: the history would leave a gap, or the change breaks a rule (`statemachines.commits`); nothing
                was written.
        """
        ...

    async def learned(self, environment: str) -> tuple[Learned, ...]:
        """Return what the environment's resets taught of their steps, by step, check and time."""
        ...

    async def unread_acts(self, reset_id: ResetId, after: int) -> tuple[Act, ...]:
        """Return the reset's acts with an id above `after`, in order."""
        ...

    async def lock(
        self, lease: Lease, keys: Sequence[ResourceKey], *, concerns: Collection[str] = ()
    ) -> LockAnswer:
        """Ask for locks on exactly these keys: all or none, first come first served by ticket.

        - Nothing is granted while a person holds one of the keys, the reset's environment or one that it `concerns`.

        - The first call draws the reset's ticket.
        - Locks that the reset asked for before, and whose keys are missing now, are released.

        Raises:
            LeaseLostError: owner or fence is another one.
        """
        ...
