"""The part of the store in memory that keeps what people hold back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from daemon.ports.clock import Clock
from daemon.ports.store.leases import Change
from daemon.ports.store.restraints import StandingFreeze
from schemas.audit import AuditEntry
from schemas.freezes import Freeze, KeptFreeze
from statemachines.freezes import stopping
from tests.memory.state import State, copied


class MemoryRestraintStore:
    """Implements `daemon.ports.store.restraints.RestraintStore`."""

    _state: State
    _clock: Clock

    async def freeze(self, freeze: Freeze, entry: AuditEntry) -> None:
        """See the port."""
        await asyncio.sleep(0)
        self._state.freezes[freeze.id] = KeptFreeze(**copied(freeze).model_dump())
        self._state.append_audit([entry])

    async def unfreeze(self, environment: str | None, entry: AuditEntry) -> tuple[Freeze, ...]:
        """See the port."""
        await asyncio.sleep(0)
        ended = [each for each in self._in_force() if each.environment == environment]
        for each in ended:
            changes = {"ended_at": self._clock.now(), "ended_by": entry.actor}
            self._state.freezes[each.id] = self._state.freezes[each.id].model_copy(update=changes)
        if ended:
            named = {**entry.facts, "freezes": [each.id for each in ended]}
            self._state.append_audit([entry.model_copy(update={"facts": named})])
        return tuple(ended)

    async def freezes(self) -> tuple[StandingFreeze, ...]:
        """See the port."""
        await asyncio.sleep(0)
        now = self._clock.now()
        return tuple(
            StandingFreeze(each.freeze, (each.expires_at - now).total_seconds())
            for each in self._unended()
            if each.expires_at > now - timedelta(days=1)
        )

    async def kept_freezes(self, *, limit: int = 100) -> tuple[KeptFreeze, ...]:
        """See the port."""
        await asyncio.sleep(0)
        return tuple(self._state.freezes[key] for key in sorted(self._state.freezes, reverse=True)[:limit])

    def _stopping(self, change: Change) -> Freeze | None:
        return stopping(self._in_force(), change.crosses) if change.crosses else None

    def _unended(self) -> list[KeptFreeze]:
        kept = (self._state.freezes[key] for key in sorted(self._state.freezes))
        return [each for each in kept if each.ended_at is None]

    def _in_force(self) -> list[Freeze]:
        now = self._clock.now()
        return [each.freeze for each in self._unended() if each.expires_at > now]
