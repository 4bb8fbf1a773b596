"""The store, as people ask it by the API and the command line, and the engine beside its leases. Nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.audit import AuditEntry
from schemas.plan import Plan
from schemas.resets import Attempt, HistoryEntry, Reset, ResetState, Step
from schemas.wire import ResetId, ResourceKey, Time


@dataclass(frozen=True)
class LockRow:
    """A lock that is held or asked for."""

    key: ResourceKey
    reset_id: ResetId
    environment: str
    ticket: int
    granted: bool
    since: Time
    """When it was granted, or when it was asked for where it is not granted."""


class StoreQueries(Protocol):
    """Reads, and changes nothing. Raises TemporaryError (`unavailable`) when the database does not answer."""

    async def find(self, reference: str) -> Reset | None:
        """Find a reset by its id, by `ENV/NUMBER` or by `ENV/@latest`."""
        ...

    async def resets(
        self,
        *,
        environment: str | None = None,
        states: Sequence[ResetState] | None = None,
        limit: int = 50,
        before: tuple[str, str] | None = None,
    ) -> tuple[Reset, ...]:
        """Return resets, newest first by id. `before` is the (created_at, id) of the former page's last one."""
        ...

    async def plan(self, reset_id: ResetId) -> Plan | None:
        """Return the reset's present plan."""
        ...

    async def steps(self, reset_id: ResetId) -> tuple[Step, ...]:
        """Return the steps of the present plan, in order."""
        ...

    async def attempts(self, reset_id: ResetId) -> tuple[Attempt, ...]:
        """Return all attempts of the reset, in the order of their start."""
        ...

    async def history(self, reset_id: ResetId, *, after: int = 0) -> tuple[HistoryEntry, ...]:
        """Return the reset's lines of history with a sequence above `after`, in order."""
        ...

    async def audit(
        self,
        *,
        environment: str | None = None,
        actor: str | None = None,
        since: Time | None = None,
        before: AuditEntry | None = None,
        limit: int = 100,
    ) -> tuple[AuditEntry, ...]:
        """Return lines of the audit, newest first; with `before` those that come after that line in this order."""
        ...

    async def locks(self) -> tuple[LockRow, ...]:
        """Return all locks, granted and asked for, by key and ticket."""
        ...

    async def backups(self, *, reset_id: ResetId | None = None) -> tuple[Mapping[str, Any], ...]:
        """Return the recorded backups, newest first, each with the reset that took it."""
        ...

    async def dead_letters(self, *, limit: int = 50) -> tuple[Mapping[str, Any], ...]:
        """Return dead letters, newest first: reason, detail, topic, partition, offset, and whether it was published."""
        ...

    async def superseded_by(self, reset_id: ResetId) -> ResetId | None:
        """Return a later reset that held a lock on one of this reset's resources after this one let it go, if any."""
        ...
