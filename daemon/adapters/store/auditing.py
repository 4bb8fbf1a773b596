"""The hash chains of the audit and of the histories: appended to, read, and checked from their beginnings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ClauseElement, FromClause, RowMapping, Select, and_, or_, select

from daemon.adapters.store.bulk_statements import bulk_insert, bulk_statement, bulk_upsert
from daemon.adapters.store.connections.pipeline import BoundStatements
from daemon.adapters.store.connections.transactions import Tx, TxLock
from daemon.adapters.store.rows import audit_from_row, audit_row, history_from_row
from daemon.adapters.store.tables import AUDIT, AUDIT_HEADS, HISTORY, RESETS
from schemas.audit import AuditEntry
from schemas.resets import HistoryEntry
from schemas.wire import ResetId
from statemachines.history import audit
from statemachines.history.chain import BEGINNING, Line, first_break, link


@bulk_statement(AUDIT_HEADS, ["chain"])
def _read_heads(given: FromClause) -> ClauseElement:
    """Read the last line's number and hash of each chain."""
    return select(AUDIT_HEADS).where(AUDIT_HEADS.c.chain == given.c.chain)


@bulk_statement(HISTORY, ["reset_id", "sequence"])
def _read_hashes(given: FromClause) -> ClauseElement:
    """Read the hashes of lines of history."""
    return select(HISTORY.c.reset_id, HISTORY.c.hash).where(
        HISTORY.c.reset_id == given.c.reset_id, HISTORY.c.sequence == given.c.sequence
    )


_insert_lines = bulk_insert(AUDIT, [column.name for column in AUDIT.columns])
_upsert_heads = bulk_upsert(AUDIT_HEADS, ["chain", "number", "hash"], ["chain"])


async def append(tx: Tx, entries: Sequence[AuditEntry]) -> None:
    """Append entries to their chains. It takes `TxLock.IDS`, so it is among the last things that a transaction does."""
    if not entries:
        return
    chains = sorted({entry.chain for entry in entries})
    _, found = await tx.pipeline(
        tx.lock_statement(TxLock.IDS), _read_heads.bind(tx, [{"chain": chain} for chain in chains])
    )
    heads = {row["chain"]: (row["number"], row["hash"]) for row in found}
    stored = audit.chained(entries, heads)
    lines = [audit_row(entry) | {"nth": nth} for nth, entry in enumerate(stored)]
    ends = [{"chain": chain, "number": heads[chain][0], "hash": heads[chain][1]} for chain in chains]
    await tx.pipeline(_insert_lines.bind(tx, lines), _upsert_heads.bind(tx, ends))


def read_hashes_before(tx: Tx, entries: Sequence[HistoryEntry]) -> BoundStatements:
    """Make the statement that reads, for each reset, the hash of the line before the first of its entries.

    Its rows have `reset_id` and `hash`. A reset without a line before has no row.
    """
    first: dict[ResetId, int] = {}
    for entry in entries:
        first.setdefault(entry.reset_id, entry.sequence)
    lines = [
        {"reset_id": reset_id, "sequence": sequence - 1}
        for reset_id, sequence in first.items()
        if sequence > 1
    ]
    return _read_hashes.bind(tx, lines)


def history_hashes(entries: Sequence[HistoryEntry], before: Mapping[ResetId, str]) -> list[str]:
    """Return the hash of each entry, in order.

    Args:
        entries: Lines of history; those of one reset follow one another.
        before: The hash of each reset's last stored line.
    """
    last: dict[ResetId, str] = dict(before)
    hashes = []
    for entry in entries:
        last[entry.reset_id] = link(last.get(entry.reset_id, BEGINNING), hashed_content(entry))
        hashes.append(last[entry.reset_id])
    return hashes


def hashed_content(entry: HistoryEntry) -> Mapping[str, Any]:
    """Return what the hash of a line of history covers."""
    return entry.model_dump(mode="json", by_alias=True)


async def page(
    tx: Tx,
    *,
    environment: str | None,
    actor: str | None,
    since: datetime | None,
    before: AuditEntry | None,
    limit: int,
) -> tuple[AuditEntry, ...]:
    """Return lines of the audit, newest first."""
    lines = select(AUDIT).order_by(AUDIT.c.at.desc(), AUDIT.c.chain.desc(), AUDIT.c.number.desc())
    if environment is not None:
        lines = lines.where(AUDIT.c.environment == environment)
    if actor is not None:
        lines = lines.where(AUDIT.c.actor == actor)
    if since is not None:
        lines = lines.where(AUDIT.c.at >= since)
    if before is not None:
        same_chain = and_(AUDIT.c.chain == before.chain, AUDIT.c.number < before.number)
        same_moment = and_(AUDIT.c.at == before.at, or_(AUDIT.c.chain < before.chain, same_chain))
        lines = lines.where(or_(AUDIT.c.at < before.at, same_moment))
    rows = (await tx.connection.execute(lines.limit(limit))).mappings()
    return tuple(audit_from_row(row) for row in rows)


async def broken_chains(tx: Tx) -> tuple[str, ...]:
    """Name the first broken line of each chain that is not whole, in a sentence for people."""
    flaws = [flaw async for flaw in _broken_histories(tx)]
    flaws += [flaw async for flaw in _broken_audits(tx)]
    return tuple(flaws)


async def _broken_histories(tx: Tx) -> AsyncIterator[str]:
    rows = select(RESETS.c.id, RESETS.c.environment, RESETS.c.number, RESETS.c.sequence)
    resets = {row.id: row for row in await tx.connection.execute(rows)}
    lines = select(HISTORY).order_by(HISTORY.c.reset_id, HISTORY.c.sequence)
    histories = await _grouped(tx, lines, "reset_id")
    for reset_id in sorted({*resets, *histories}):
        reset = resets.get(reset_id)
        chain = [_history_line(row) for row in histories.get(reset_id, [])]
        flaw = first_break(chain, length=reset.sequence if reset else 0)
        if flaw is not None:
            name = f"{reset.environment}/{reset.number}" if reset else f"reset {reset_id}, which is not there"
            yield f"history of {name}: line {flaw.number} {flaw.why}"


async def _broken_audits(tx: Tx) -> AsyncIterator[str]:
    heads = {row.chain: row for row in await tx.connection.execute(select(AUDIT_HEADS))}
    resets = set((await tx.connection.execute(select(RESETS.c.id))).scalars())
    audits = await _grouped(tx, select(AUDIT).order_by(AUDIT.c.chain, AUDIT.c.number), "chain")
    for name in sorted({*heads, *audits, *resets}):
        head = heads.get(name)
        if head is None:
            yield f"audit of {name}: its end is not known; its line 1 is missing or was added"
            continue
        chain = [audit.line(audit_from_row(row)) for row in audits.get(name, [])]
        flaw = first_break(chain, length=head.number, last=head.hash)
        if flaw is not None:
            yield f"audit of {name}: line {flaw.number} {flaw.why}"


async def _grouped(tx: Tx, ordered: Select[Any], column: str) -> dict[str, list[RowMapping]]:
    """Return the rows of a query by their value in the column that the query orders by."""
    rows = (await tx.connection.execute(ordered)).mappings().all()
    return {value: list(group) for value, group in groupby(rows, key=lambda row: row[column])}


def _history_line(row: RowMapping) -> Line:
    return Line(row["sequence"], hashed_content(history_from_row(row)), row["hash"])
