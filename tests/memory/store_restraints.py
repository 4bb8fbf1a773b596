"""The part of the store in memory that keeps what people hold back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import timedelta

from daemon.ports.clock import Clock
from daemon.ports.store.leases import Change
from daemon.ports.store.restraints import HoldAnswer, HoldChanges, StandingFreeze, StandingHold
from schemas.audit import AuditEntry
from schemas.freezes import Freeze, KeptFreeze
from schemas.holds import Hold, KeptHold
from schemas.records import Message
from schemas.wire import ResourceKey, Time
from statemachines.freezes import stopping
from statemachines.holds import Held, at_work, contradicts, holding
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

    async def hold(self, hold: Hold, entry: AuditEntry, *, after: bool) -> HoldAnswer:
        """See the port."""
        await asyncio.sleep(0)
        self._end_expired()
        standing = self._standing_holds()
        if (theirs := contradicts(hold, standing)) is not None:
            return HoldAnswer(held=self._state.holds[theirs.id])
        mine = next((each for each in standing if each.environment == hold.environment), None)
        resets = at_work(hold, self._granted())
        if resets and not after and (mine is None or mine.granted_at is None):
            return HoldAnswer(at_work=resets)
        if mine is not None:
            keys = tuple(sorted({*mine.keys, *(hold.keys if not resets else ())}))
            changes = {"expires_at": hold.expires_at, "reason": hold.reason, "keys": keys, "told_at": None}
            given = mine.model_copy(update=changes)
        else:
            granted = None if resets else self._clock.now()
            given = KeptHold(**copied(hold).model_dump(), granted_at=granted)
        self._state.holds[given.id] = given
        self._state.append_audit([entry.model_copy(update={"facts": {**entry.facts, "hold": given.id}})])
        return HoldAnswer(given=given, at_work=resets if given.granted_at is None else ())

    async def unhold(self, hold_id: str, entry: AuditEntry) -> KeptHold | None:
        """See the port."""
        await asyncio.sleep(0)
        now, found = self._clock.now(), self._state.holds.get(hold_id)
        if found is None or found.ended_at is not None or found.expires_at <= now:
            return None
        self._change(hold_id, ended_at=now, ended_by=entry.actor)
        self._state.append_audit([entry])
        return self._state.holds[hold_id]

    async def holds(self) -> tuple[StandingHold, ...]:
        """See the port."""
        await asyncio.sleep(0)
        now, granted = self._clock.now(), self._granted()
        return tuple(
            StandingHold(
                each,
                (each.expires_at - now).total_seconds(),
                at_work(each, granted) if each.granted_at is None else (),
            )
            for each in (self._state.holds[key] for key in sorted(self._state.holds))
            if each.ended_by is None and each.expires_at > now - timedelta(days=1)
        )

    async def kept_holds(self, *, limit: int = 100) -> tuple[KeptHold, ...]:
        """See the port."""
        await asyncio.sleep(0)
        return tuple(self._state.holds[key] for key in sorted(self._state.holds, reverse=True)[:limit])

    async def settle_holds(self) -> HoldChanges:
        """See the port."""
        await asyncio.sleep(0)
        expired, granted = self._end_expired(), self._granted()
        waiting = (each for each in self._standing_holds() if each.granted_at is None)
        free = [each.id for each in waiting if not at_work(each, granted)]
        for hold_id in free:
            self._change(hold_id, granted_at=self._clock.now())
        return HoldChanges(expired, tuple(self._state.holds[hold_id] for hold_id in free))

    async def tell_hold_end(self, hold_id: str, expires_at: Time, message: Message) -> bool:
        """See the port."""
        await asyncio.sleep(0)
        found = self._state.holds.get(hold_id)
        if found is None or found.ended_at or found.told_at or found.expires_at != expires_at:
            return False
        self._change(hold_id, told_at=self._clock.now())
        self._state.append_message(message)
        return True

    def _keeping_away(self, environments: Collection[str], keys: Collection[ResourceKey]) -> KeptHold | None:
        self._end_expired()
        found = holding(self._standing_holds(), environments, keys)
        return None if found is None else self._state.holds[found.id]

    def _end_expired(self) -> tuple[KeptHold, ...]:
        now = self._clock.now()
        over = [each.id for each in self._standing_holds() if each.expires_at <= now]
        for hold_id in over:
            self._change(hold_id, ended_at=now)
        return tuple(self._state.holds[hold_id] for hold_id in over)

    def _standing_holds(self) -> list[KeptHold]:
        kept = (self._state.holds[key] for key in sorted(self._state.holds))
        return [each for each in kept if each.ended_at is None]

    def _granted(self) -> list[Held]:
        return [
            Held(row.key, row.reset_id, row.environment, row.ticket)
            for row in self._state.locks
            if row.granted
        ]

    def _change(self, hold_id: str, **changes: object) -> None:
        self._state.holds[hold_id] = self._state.holds[hold_id].model_copy(update=changes)

    def _stopping(self, change: Change) -> Freeze | None:
        return stopping(self._in_force(), change.crosses) if change.crosses else None

    def _unended(self) -> list[KeptFreeze]:
        kept = (self._state.freezes[key] for key in sorted(self._state.freezes))
        return [each for each in kept if each.ended_at is None]

    def _in_force(self) -> list[Freeze]:
        now = self._clock.now()
        return [each.freeze for each in self._unended() if each.expires_at > now]
