"""The store, as planning and people ask it what is remembered of protected environments, and what was said about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from schemas.audit import AuditEntry
from schemas.protection import KeptWord, ProtectedUse, RememberedUse, Word
from schemas.wire import Time


class ProtectionStore(Protocol):
    """Remembers. Raises TemporaryError (`unavailable`) when the database does not answer."""

    async def remember_protected(self, uses: Sequence[ProtectedUse], *, now: Time) -> None:
        """Remember for good what protected environments are seen to use, and that it was seen at `now`.

        A `now` before the last one changes nothing.
        """
        ...

    async def protected(self) -> tuple[RememberedUse, ...]:
        """Return all that is remembered, by environment, service, database and key."""
        ...

    async def give_word(self, word: Word, entry: AuditEntry) -> None:
        """Store a word with its line of the audit."""
        ...

    async def withdraw_word(self, word_id: str, by: str, entry: AuditEntry, *, now: Time) -> bool:
        """Take a word back, with a line of the audit. False, and nothing stored, where no such word is in force."""
        ...

    async def words(self, *, now: Time, ended: bool = False) -> tuple[KeptWord, ...]:
        """Return the words that neither expired by `now` nor were taken back, oldest first; with `ended` all words."""
        ...
