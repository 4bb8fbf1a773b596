"""The store, as people ask it: reading, without changing anything."""

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
    """When it was granted, or asked for where it is not."""


class StoreQueries(Protocol):
    """Reading. Raises TemporaryError (`unavailable`) when the database does not answer."""

    async def find(self, reference: str) -> Reset | None:
        """By id, `ENV/NUMBER` or `ENV/@latest`."""
        ...

    async def resets(
        self,
        *,
        environment: str | None = None,
        states: Sequence[ResetState] | None = None,
        limit: int = 50,
        before: tuple[str, str] | None = None,
    ) -> tuple[Reset, ...]:
        """Newest first by id; `before` is the (created_at, id) of the last one of the former page."""
        ...

    async def plan(self, reset_id: ResetId) -> Plan | None:
        """Its present plan."""
        ...

    async def steps(self, reset_id: ResetId) -> tuple[Step, ...]:
        """In order."""
        ...

    async def attempts(self, reset_id: ResetId) -> tuple[Attempt, ...]:
        """In the order of their start."""
        ...

    async def history(self, reset_id: ResetId, *, after: int = 0) -> tuple[HistoryEntry, ...]:
        """By sequence."""
        ...

    async def audit(
        self,
        *,
        environment: str | None = None,
        actor: str | None = None,
        since: Time | None = None,
        limit: int = 100,
    ) -> tuple[AuditEntry, ...]:
        """The audit, newest first."""
        ...

    async def locks(self) -> tuple[LockRow, ...]:
        """Held and asked for, by key and ticket."""
        ...

    async def backups(self, *, reset_id: ResetId | None = None) -> tuple[Mapping[str, Any], ...]:
        """Recorded backups, newest first, with the reset that took each."""
        ...

    async def dead_letters(self, *, limit: int = 50) -> tuple[Mapping[str, Any], ...]:
        """Newest first, with reason, detail, topic, partition, offset and whether they were published."""
        ...

    async def superseded_by(self, reset_id: ResetId) -> ResetId | None:
        """A later reset that held a lock on one of this one's resources after it let them go."""
        ...
