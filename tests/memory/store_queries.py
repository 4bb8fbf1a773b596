"""The store in memory: what it answers to people, and its outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import takewhile
from typing import Any

from daemon.ports.store.outbox import OutboxRow, StatusTopics
from daemon.ports.store.queries import LockRow
from schemas.audit import AuditEntry
from schemas.plan import Plan
from schemas.resets import Act, Attempt, HistoryEntry, Reset, ResetState, Step
from schemas.wire import ResetId, Time
from tests.memory.state import OutboxMessage, State


class MemoryStoreQueries:
    """Implements `daemon.ports.store.queries.StoreQueries` and what waits in the outbox.

    Each method lets other tasks run first.
    """

    def __init__(self, topics: StatusTopics) -> None:
        self._state = State(topics)

    @property
    def state(self) -> State:
        """Return the whole state, for tests that compare answers with it."""
        return self._state

    # -- outbox ---------------------------------------------------------------------------------------------------
    async def unpublished(self, limit: int) -> tuple[OutboxRow, ...]:
        await asyncio.sleep(0)
        return tuple(OutboxRow(row.id, row.message) for row in self._waiting()[:limit])

    async def count_unpublished(self) -> int:
        await asyncio.sleep(0)
        return len(self._waiting())

    async def published(self, ids: Sequence[int], refused: Mapping[int, str], *, now: Time) -> None:
        await asyncio.sleep(0)
        for row in self._state.outbox:
            if row.id in refused:
                row.refused = refused[row.id]
            elif row.id in ids:
                row.published_at = now

    # -- reading --------------------------------------------------------------------------------------------------
    async def find(self, reference: str) -> Reset | None:
        await asyncio.sleep(0)
        environment, slash, which = reference.rpartition("/")
        if not slash:
            entry = self._state.entries.get(ResetId(reference))
            return entry.reset if entry else None
        there = [
            entry.reset for entry in self._state.entries.values() if entry.reset.environment == environment
        ]
        if which == "@latest":
            return max(there, key=lambda reset: reset.number, default=None)
        return next((reset for reset in there if str(reset.number) == which), None)

    async def resets(
        self,
        *,
        environment: str | None = None,
        states: Sequence[ResetState] | None = None,
        limit: int = 50,
        before: tuple[str, str] | None = None,
    ) -> tuple[Reset, ...]:
        await asyncio.sleep(0)
        found = [
            entry.reset
            for reset_id, entry in sorted(self._state.entries.items(), reverse=True)
            if environment in (None, entry.reset.environment)
            and (states is None or entry.reset.state in states)
            and (before is None or reset_id < before[1])
        ]
        return tuple(found[:limit])

    async def plan(self, reset_id: ResetId) -> Plan | None:
        await asyncio.sleep(0)
        return self._plan(reset_id)

    async def steps(self, reset_id: ResetId) -> tuple[Step, ...]:
        await asyncio.sleep(0)
        return self._steps(reset_id)

    async def attempts(self, reset_id: ResetId) -> tuple[Attempt, ...]:
        await asyncio.sleep(0)
        return self._attempts(reset_id)

    async def history(self, reset_id: ResetId, *, after: int = 0) -> tuple[HistoryEntry, ...]:
        await asyncio.sleep(0)
        return tuple(self._state.history.get(reset_id, [])[after:])

    async def audit(
        self,
        *,
        environment: str | None = None,
        actor: str | None = None,
        since: Time | None = None,
        before: AuditEntry | None = None,
        limit: int = 100,
    ) -> tuple[AuditEntry, ...]:
        await asyncio.sleep(0)
        found = [
            entry
            for entry in self._state.audit
            if environment in (None, entry.environment)
            and actor in (None, entry.actor)
            and (since is None or entry.at >= since)
        ]
        found.sort(key=_place, reverse=True)
        return tuple([entry for entry in found if before is None or _place(entry) < _place(before)][:limit])

    async def locks(self) -> tuple[LockRow, ...]:
        await asyncio.sleep(0)
        return tuple(sorted(self._state.locks, key=lambda row: (row.key, row.ticket)))

    async def backups(self, *, reset_id: ResetId | None = None) -> tuple[Mapping[str, Any], ...]:
        await asyncio.sleep(0)
        kept = reversed(list(enumerate(self._state.backups.values(), 1)))
        return tuple(
            {"id": number, "reset_id": taker} | asdict(backup)
            for number, (taker, backup) in kept
            if reset_id in (None, taker)
        )

    async def dead_letters(self, *, limit: int = 50) -> tuple[Mapping[str, Any], ...]:
        await asyncio.sleep(0)
        newest = list(self._state.dead_letters.items())[::-1][:limit]
        return tuple(
            {
                "id": number,
                "reason": letter.reason.value,
                "detail": letter.detail,
                "topic": letter.topic,
                "partition": letter.partition,
                "offset": letter.offset,
                "at": at,
                "published_at": message.published_at,
                "refused": message.refused,
            }
            for number, (letter, message, at) in newest
        )

    async def superseded_by(self, reset_id: ResetId) -> ResetId | None:
        await asyncio.sleep(0)
        return self._superseded_by(reset_id)

    def _superseded_by(self, reset_id: ResetId) -> ResetId | None:
        grants = self._state.grants
        last_release = {
            grant.key: index
            for index, grant in enumerate(grants)
            if grant.reset_id == reset_id and grant.released
        }
        later = [
            grant.reset_id
            for index, grant in enumerate(grants)
            if grant.reset_id != reset_id and index > last_release.get(grant.key, len(grants))
        ]
        return later[-1] if later else None

    async def ping(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        await asyncio.sleep(0)

    def _waiting(self) -> list[OutboxMessage]:
        return [row for row in self._state.outbox if row.published_at is None and row.refused is None]

    def _plan(self, reset_id: ResetId) -> Plan | None:
        named = self._state.entries.get(reset_id)
        return self._state.plans.get((reset_id, named.reset.plan_hash or "")) if named else None

    def _steps(self, reset_id: ResetId) -> tuple[Step, ...]:
        return tuple(sorted(self._state.steps.get(reset_id, {}).values(), key=lambda step: step.index))

    def _attempts(self, reset_id: ResetId) -> tuple[Attempt, ...]:
        ours = [attempt for attempt in self._state.attempts.values() if attempt.reset_id == reset_id]
        return tuple(sorted(ours, key=lambda attempt: (attempt.started_at, attempt.id)))

    def _unread(self, reset_id: ResetId, after: int) -> tuple[Act, ...]:
        # Ids grow, so what is new stands at the end.
        new = takewhile(lambda act: act.id > after, reversed(self._state.acts))
        return tuple(act for act in new if act.reset_id == reset_id)[::-1]


def _place(entry: AuditEntry) -> tuple[Time, str, int]:
    return entry.at, entry.chain, entry.number
