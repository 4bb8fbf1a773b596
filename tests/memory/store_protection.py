"""The part of the store in memory that remembers protected environments, and keeps words about them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from schemas.audit import AuditEntry
from schemas.protection import KeptWord, ProtectedUse, RememberedUse, Word
from schemas.wire import Time
from tests.memory.state import State, copied


class MemoryProtectionStore:
    """Implements `daemon.ports.store.protection.ProtectionStore`."""

    _state: State

    async def remember_protected(self, uses: Sequence[ProtectedUse], *, now: Time) -> None:
        """See the port."""
        await asyncio.sleep(0)
        for use in uses:
            name = (use.environment, use.service or "", use.database or "", use.key)
            before = self._state.protected.get(name)
            self._state.protected[name] = RememberedUse(
                environment=use.environment,
                service=use.service,
                database=use.database,
                key=use.key,
                first_seen_at=before.first_seen_at if before else now,
                last_seen_at=max(before.last_seen_at, now) if before else now,
            )

    async def protected(self) -> tuple[RememberedUse, ...]:
        """See the port."""
        await asyncio.sleep(0)
        return tuple(self._state.protected[name] for name in sorted(self._state.protected))

    async def give_word(self, word: Word, entry: AuditEntry) -> None:
        """See the port."""
        await asyncio.sleep(0)
        self._state.words[word.id] = KeptWord.model_validate(copied(word).model_dump())
        self._state.append_audit([entry])

    async def withdraw_word(self, word_id: str, by: str, entry: AuditEntry, *, now: Time) -> bool:
        """See the port."""
        if word_id not in {word.id for word in await self.words(now=now)}:
            return False
        self._withdraw(word_id, by, now)
        self._state.append_audit([entry])
        return True

    async def words(self, *, now: Time, ended: bool = False) -> tuple[KeptWord, ...]:
        """See the port."""
        await asyncio.sleep(0)
        kept = (self._state.words[word_id] for word_id in sorted(self._state.words))
        return tuple(word for word in kept if ended or (word.withdrawn_at is None and word.expires_at > now))

    def _withdraw(self, word_id: str, by: str, now: Time) -> None:
        changes = {"withdrawn_at": now, "withdrawn_by": by}
        self._state.words[word_id] = self._state.words[word_id].model_copy(update=changes)
