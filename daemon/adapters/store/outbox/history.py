"""Lines of history, appended with their outbox rows: each becomes a status event in the transaction that commits it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ClauseElement, FromClause, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from daemon.adapters.store.auditing import history_hashes, read_hashes_before
from daemon.adapters.store.bulk_statements import BIGINT, bulk_insert, bulk_statement
from daemon.adapters.store.connections.pipeline import BoundStatements, Row
from daemon.adapters.store.connections.transactions import Tx, TxLock
from daemon.adapters.store.outbox.messages import message_row, status_row
from daemon.adapters.store.retention.refused_names import counters_of
from daemon.adapters.store.rows import history_row
from daemon.adapters.store.tables import ENVIRONMENTS, HISTORY, OUTBOX
from schemas.records import Message
from schemas.resets import HistoryEntry
from schemas.wire import ResetId
from statemachines.history.status_record import committed

EnvironmentEntry = tuple[str, HistoryEntry]
"""An environment, and a line of the history of one of its resets."""


@dataclass(frozen=True)
class HistoryEnds:
    """Where the histories end that a transaction appends to."""

    sequences: Mapping[str, int]
    """The number of each environment's last status."""
    hashes: Mapping[ResetId, str]
    """The hash of each reset's last line; absent where the reset has no line yet."""


_NO_ENDS = HistoryEnds({}, {})


@bulk_statement(ENVIRONMENTS, ["name"])
def _lock_environments(given: FromClause) -> ClauseElement:
    """Lock the rows of environments, in the order of their names, and read the number of each one's last status."""
    return (
        select(ENVIRONMENTS.c.name, ENVIRONMENTS.c.sequence)
        .where(ENVIRONMENTS.c.name.in_(select(given.c.name)))
        .order_by(ENVIRONMENTS.c.name)
        .with_for_update()
    )


@bulk_statement(ENVIRONMENTS, ["name"], more=BIGINT)
def _count_statuses(given: FromClause) -> ClauseElement:
    """Add the number of new statuses to each environment's sequence."""
    return (
        update(ENVIRONMENTS)
        .where(ENVIRONMENTS.c.name == given.c.name)
        .values(sequence=ENVIRONMENTS.c.sequence + given.c.more)
    )


_insert_history = bulk_insert(HISTORY, [column.name for column in HISTORY.columns])
_insert_outbox = bulk_insert(OUTBOX, ["topic", "reset_id", "sequence"])


async def lock_environments(tx: Tx, names: Sequence[str]) -> dict[str, int]:
    """Lock the environments' rows to the end of the transaction, and return the last reset number of each.

    Rows that are missing are inserted, with counters above those that the environment had before its row was pruned.
    """
    ordered = sorted(set(names))
    if not ordered:
        return {}
    known = select(ENVIRONMENTS.c.name).where(ENVIRONMENTS.c.name.in_(ordered))
    missing = sorted({*ordered} - {*(await tx.connection.execute(known)).scalars()})
    if missing:
        inserting = (postgresql if tx.postgres else sqlite).insert(ENVIRONMENTS).on_conflict_do_nothing()
        rows = [
            {"name": name, "last_number": number, "sequence": sequence}
            for name, (number, sequence) in (await counters_of(tx, missing)).items()
        ]
        await tx.connection.execute(inserting, rows)
    locking = (
        select(ENVIRONMENTS.c.name, ENVIRONMENTS.c.last_number)
        .where(ENVIRONMENTS.c.name.in_(ordered))
        .order_by(ENVIRONMENTS.c.name)
        .with_for_update()
    )
    return {row.name: row.last_number for row in await tx.connection.execute(locking)}


def count_statements(tx: Tx, entries: Sequence[EnvironmentEntry]) -> tuple[BoundStatements, ...]:
    """Make the statements that count a status for each entry, and read where the histories end.

    `ends_from` reads what they answer. They lock the environments' rows, in the order of their names: from here to the
    commit no other transaction appends to an environment's histories or admits a reset of it.
    """
    counts = Counter(environment for environment, _ in entries)
    additions = [{"name": name, "more": more} for name, more in counts.items()]
    return (
        _lock_environments.bind(tx, [{"name": name} for name in counts]),
        _count_statuses.bind(tx, additions),
        read_hashes_before(tx, [entry for _, entry in entries]),
    )


def ends_from(answers: Sequence[Sequence[Row]]) -> HistoryEnds:
    """Read the answers of `count_statements`."""
    environments, _, lines = answers
    return HistoryEnds(
        {row["name"]: row["sequence"] for row in environments},
        {row["reset_id"]: row["hash"] for row in lines},
    )


async def append(
    tx: Tx,
    entries: Sequence[EnvironmentEntry],
    ends: HistoryEnds = _NO_ENDS,
    others: Sequence[Message] = (),
) -> list[int]:
    """Append history entries, put their statuses and then `others` into the outbox, and return the ids of `others`.

    It is the last thing that a transaction does: from here to its commit, all others that append wait.

    Args:
        tx: The transaction.
        entries: Lines of history, with their environments.
        ends: Where the histories end, from `count_statements`.
        others: Messages that are no statuses, such as dead letters.
    """
    if not entries and not others:
        return []
    numbered = _numbered(tx, entries, ends.sequences)
    hashes = history_hashes(numbered, ends.hashes)
    lines = [
        history_row(entry, line_hash) | {"nth": nth}
        for nth, (entry, line_hash) in enumerate(zip(numbered, hashes, strict=True))
    ]
    rows = [status_row(tx.topics.status, entry) | {"nth": nth} for nth, entry in enumerate(numbered)]
    await tx.pipeline(
        _insert_history.bind(tx, lines), tx.lock_statement(TxLock.IDS), _insert_outbox.bind(tx, rows)
    )
    if not others:
        return []
    inserting = insert(OUTBOX).returning(OUTBOX.c.id, sort_by_parameter_order=True)
    inserted = await tx.connection.execute(inserting, [message_row(message) for message in others])
    return list(inserted.scalars())


def _numbered(
    tx: Tx, entries: Sequence[EnvironmentEntry], sequences: Mapping[str, int]
) -> list[HistoryEntry]:
    """Return the entries with the sequence that each has in its environment."""
    last = dict(sequences)
    numbered: list[HistoryEntry] = []
    for environment, entry in entries:
        last[environment] += 1
        numbered.append(
            committed(entry, environment_sequence=last[environment], public_url=tx.topics.public_url)
        )
    return numbered
