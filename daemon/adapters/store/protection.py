"""What protected environments were seen to use, which is remembered for good, and people's words about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store import auditing
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.tables import PROTECTED_USES, PROTECTED_WORDS
from schemas.audit import AuditEntry
from schemas.protection import KeptWord, ProtectedUse, RememberedUse, Scope, Word

_USE = (
    PROTECTED_USES.c.environment,
    PROTECTED_USES.c.service,
    PROTECTED_USES.c.database,
    PROTECTED_USES.c.key,
)
_SCOPE = tuple(Scope.model_fields)


async def remember(tx: Tx, uses: Sequence[ProtectedUse], now: datetime) -> None:
    """Remember each use, and that it was seen now."""
    names = {(use.environment, use.service or "", use.database or "", use.key) for use in uses}
    rows = [
        dict(zip(("environment", "service", "database", "key"), name, strict=True))
        | {"first_seen_at": now, "last_seen_at": now}
        for name in sorted(names)
    ]
    insert = (postgresql if tx.postgres else sqlite).insert(PROTECTED_USES)
    later = insert.on_conflict_do_update(
        index_elements=[column.name for column in _USE],
        set_={"last_seen_at": insert.excluded.last_seen_at},
        where=PROTECTED_USES.c.last_seen_at < insert.excluded.last_seen_at,
    )
    await tx.connection.execute(later, rows)


async def remembered(tx: Tx) -> tuple[RememberedUse, ...]:
    """Return all that is remembered."""
    rows = (await tx.connection.execute(select(PROTECTED_USES).order_by(*_USE))).mappings()
    return tuple(
        RememberedUse.model_validate(
            {**row, "service": row["service"] or None, "database": row["database"] or None}
        )
        for row in rows
    )


async def give(tx: Tx, word: Word, entry: AuditEntry) -> None:
    """Store a word with its line of the audit."""
    row = {name: getattr(word, name) for name in Word.model_fields if name != "scope"}
    row |= {name: getattr(word.scope, name) for name in _SCOPE}
    row |= {"kind": word.kind.value, "uses": None if word.uses is None else list(word.uses)}
    await tx.connection.execute(PROTECTED_WORDS.insert(), row)
    await auditing.append(tx, [entry])


async def withdraw(tx: Tx, word_id: str, by: str, entry: AuditEntry, now: datetime) -> bool:
    """Take a word in force back, with a line of the audit."""
    taken = await tx.connection.execute(
        update(PROTECTED_WORDS)
        .where(PROTECTED_WORDS.c.id == word_id)
        .where(PROTECTED_WORDS.c.withdrawn_at.is_(None), PROTECTED_WORDS.c.expires_at > now)
        .values(withdrawn_at=now, withdrawn_by=by)
    )
    if not taken.rowcount:
        return False
    await auditing.append(tx, [entry])
    return True


async def words(tx: Tx, now: datetime, *, ended: bool) -> tuple[KeptWord, ...]:
    """Return the words in force, or all of them, oldest first."""
    asked = select(PROTECTED_WORDS).order_by(PROTECTED_WORDS.c.id)
    if not ended:
        asked = asked.where(PROTECTED_WORDS.c.withdrawn_at.is_(None), PROTECTED_WORDS.c.expires_at > now)
    return tuple(_word(row) for row in (await tx.connection.execute(asked)).mappings())


async def void_words(tx: Tx, by: str, now: datetime) -> None:
    """Take back every word in force: what people took back since is not known to a restored state."""
    await tx.connection.execute(
        update(PROTECTED_WORDS)
        .where(PROTECTED_WORDS.c.withdrawn_at.is_(None))
        .values(withdrawn_at=now, withdrawn_by=by)
    )


def _word(row: RowMapping) -> KeptWord:
    values = dict(row)
    scope = {name: values.pop(name) for name in _SCOPE}
    return KeptWord.model_validate({**values, "scope": scope})
