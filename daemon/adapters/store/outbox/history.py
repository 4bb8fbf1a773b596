"""History and outbox: each line of a reset's history becomes a message in the transaction that commits it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store.auditing import hashes_before, history_hashes
from daemon.adapters.store.bulk_statements import NUMBER, inserting, over
from daemon.adapters.store.connections.pipeline import Row, Sending
from daemon.adapters.store.connections.transactions import Order, Tx
from daemon.adapters.store.outbox.messages import MESSAGES, message_of, message_row, status_row
from daemon.adapters.store.rows import (
    ENVIRONMENTS,
    HISTORY,
    OUTBOX,
    PUBLISHERS,
    history_row,
)
from daemon.ports.store.outbox import OutboxRow
from schemas.records import Message
from schemas.resets import HistoryEntry
from schemas.wire import ResetId
from statemachines.history.status_record import committed

Told = tuple[str, HistoryEntry]
"""An environment, and a line of the history of one of its resets."""


@dataclass(frozen=True)
class Before:
    """What goes before the entries that a transaction tells."""

    sequences: Mapping[str, int]
    """The number of each environment's last status."""
    hashes: Mapping[ResetId, str]
    """The hash of each history's last line; none where there is no line yet."""


NOTHING = Before({}, {})

_OUTBOX = "outbox"
_HOLD = over(
    ENVIRONMENTS,
    ["name"],
    lambda given: (
        select(ENVIRONMENTS.c.name, ENVIRONMENTS.c.sequence)
        .where(ENVIRONMENTS.c.name.in_(select(given.c.name)))
        .order_by(ENVIRONMENTS.c.name)
        .with_for_update()
    ),
)
_COUNT = over(
    ENVIRONMENTS,
    ["name"],
    lambda given: (
        update(ENVIRONMENTS)
        .where(ENVIRONMENTS.c.name == given.c.name)
        .values(sequence=ENVIRONMENTS.c.sequence + given.c.more)
    ),
    more=NUMBER,
)
_PUT_HISTORY = inserting(HISTORY, [each.name for each in HISTORY.columns])
_PUT_OUTBOX = inserting(OUTBOX, ["topic", "reset_id", "sequence"])


async def hold_environments(tx: Tx, names: Sequence[str]) -> dict[str, int]:
    """Keep the environments' rows to the end of the transaction; answers the last number of each."""
    ordered = sorted(set(names))
    if not ordered:
        return {}
    dialect = postgresql if tx.postgres else sqlite
    missing = dialect.insert(ENVIRONMENTS).on_conflict_do_nothing()
    await tx.connection.execute(
        missing, [{"name": name, "last_number": 0, "sequence": 0} for name in ordered]
    )
    held = (
        select(ENVIRONMENTS.c.name, ENVIRONMENTS.c.last_number)
        .where(ENVIRONMENTS.c.name.in_(ordered))
        .order_by(ENVIRONMENTS.c.name)
        .with_for_update()
    )
    return {row.name: row.last_number for row in await tx.connection.execute(held)}


def counting(tx: Tx, told: Sequence[Told]) -> tuple[Sending, ...]:
    """Count a status for each entry, and read what goes before it, for `counted`.

    Holds the environments' rows, in order of their names: from here to the commit nobody else tells or admits
    anything there.
    """
    counts = Counter(environment for environment, _ in told)
    adding = [{"name": name, "more": more} for name, more in counts.items()]
    return (
        _HOLD.over(tx, [{"name": name} for name in counts]),
        _COUNT.over(tx, adding),
        hashes_before(tx, [entry for _, entry in told]),
    )


def counted(answers: Sequence[Sequence[Row]]) -> Before:
    """What the statements of `counting` answered."""
    environments, _, lines = answers
    return Before(
        {row["name"]: row["sequence"] for row in environments},
        {row["reset_id"]: row["hash"] for row in lines},
    )


async def publish(
    tx: Tx, told: Sequence[Told], before: Before = NOTHING, others: Sequence[Message] = ()
) -> list[int]:
    """Store history entries and put their messages, then `others`, into the outbox; answers the ids of `others`.

    `before` is what `counting` read. The last thing that a transaction does: from here to its commit all others
    that publish wait.
    """
    if not told and not others:
        return []
    entries = _numbered(tx, told, before.sequences)
    hashes = history_hashes(entries, before.hashes)
    lines = [
        history_row(entry, line) | {"nth": nth}
        for nth, (entry, line) in enumerate(zip(entries, hashes, strict=True))
    ]
    rows = [status_row(tx.topics.status, entry) | {"nth": nth} for nth, entry in enumerate(entries)]
    await tx.together(_PUT_HISTORY.over(tx, lines), tx.ordering(Order.IDS), _PUT_OUTBOX.over(tx, rows))
    if not others:
        return []
    returning = insert(OUTBOX).returning(OUTBOX.c.id, sort_by_parameter_order=True)
    found = await tx.connection.execute(returning, [message_row(message) for message in others])
    return list(found.scalars())


def _numbered(tx: Tx, told: Sequence[Told], sequences: Mapping[str, int]) -> list[HistoryEntry]:
    following = dict(sequences)
    entries: list[HistoryEntry] = []
    for environment, entry in told:
        following[environment] += 1
        entries.append(
            committed(entry, environment_sequence=following[environment], public_url=tx.topics.public_url)
        )
    return entries


async def may_publish(tx: Tx, owner: str, *, ttl: float) -> bool:
    """Take or renew the right to publish; whether it is this owner's now."""
    dialect = postgresql if tx.postgres else sqlite
    taking = dialect.insert(PUBLISHERS).values(name=_OUTBOX, owner=owner, until=tx.clock(plus=ttl))
    taking = taking.on_conflict_do_update(
        index_elements=["name"],
        set_={"owner": taking.excluded.owner, "until": taking.excluded.until},
        where=(PUBLISHERS.c.owner == owner) | (PUBLISHERS.c.until <= tx.clock()),
    )
    return (await tx.connection.execute(taking.returning(PUBLISHERS.c.owner))).first() is not None


async def unpublished(tx: Tx, limit: int) -> tuple[OutboxRow, ...]:
    """The oldest messages that wait."""
    waiting = (
        MESSAGES.where(OUTBOX.c.published_at.is_(None), OUTBOX.c.refused.is_(None))
        .order_by(OUTBOX.c.id)
        .limit(limit)
    )
    rows = (await tx.connection.execute(waiting)).mappings()
    return tuple(OutboxRow(row["id"], message_of(row)) for row in rows)


async def mark_published(tx: Tx, ids: Sequence[int], refused: Mapping[int, str], now: datetime) -> None:
    """Mark messages as published or as refused for good."""
    accepted = [each for each in ids if each not in refused]
    if accepted:
        await tx.connection.execute(update(OUTBOX).where(OUTBOX.c.id.in_(accepted)).values(published_at=now))
    for each, why in refused.items():
        await tx.connection.execute(update(OUTBOX).where(OUTBOX.c.id == each).values(refused=why))
