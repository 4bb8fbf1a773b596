"""The audit and the hashes of histories: appended to chains, read, and checked from their beginnings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import RowMapping, Select, select

from daemon.adapters.store.bulk_statements import inserting, over, upserting
from daemon.adapters.store.connections.pipeline import Sending
from daemon.adapters.store.connections.transactions import Order, Tx
from daemon.adapters.store.rows import (
    AUDIT,
    AUDIT_HEADS,
    HISTORY,
    RESETS,
    audit_of,
    audit_row,
    history_of,
)
from schemas.audit import AuditEntry
from schemas.resets import HistoryEntry
from schemas.wire import ResetId
from statemachines.history import audit
from statemachines.history.chain import BEGINNING, Line, first_break, link

_HEADS = over(
    AUDIT_HEADS,
    ["chain"],
    lambda given: select(AUDIT_HEADS).where(AUDIT_HEADS.c.chain == given.c.chain),
)
_PUT_LINES = inserting(AUDIT, [each.name for each in AUDIT.columns])
_PUT_HEADS = upserting(AUDIT_HEADS, ["chain", "number", "hash"], ["chain"])
_BEFORE = over(
    HISTORY,
    ["reset_id", "sequence"],
    lambda given: select(HISTORY.c.reset_id, HISTORY.c.hash).where(
        HISTORY.c.reset_id == given.c.reset_id, HISTORY.c.sequence == given.c.sequence
    ),
)


async def append(tx: Tx, entries: Sequence[AuditEntry]) -> None:
    """Append to the entries' chains. Among the last things that a transaction does: it waits for `Order.IDS`."""
    if not entries:
        return
    named = sorted({entry.chain for entry in entries})
    _, found = await tx.together(
        tx.ordering(Order.IDS), _HEADS.over(tx, [{"chain": chain} for chain in named])
    )
    heads = {row["chain"]: (row["number"], row["hash"]) for row in found}
    stored = audit.chained(entries, heads)
    lines = [audit_row(entry) | {"nth": nth} for nth, entry in enumerate(stored)]
    ends = [{"chain": chain, "number": heads[chain][0], "hash": heads[chain][1]} for chain in named]
    await tx.together(_PUT_LINES.over(tx, lines), _PUT_HEADS.over(tx, ends))


def hashes_before(tx: Tx, entries: Sequence[HistoryEntry]) -> Sending:
    """Reads, for each reset, the hash before the first of its entries (`reset_id` and `hash`)."""
    first: dict[ResetId, int] = {}
    for entry in entries:
        first.setdefault(entry.reset_id, entry.sequence)
    places = [{"reset_id": each, "sequence": number - 1} for each, number in first.items() if number > 1]
    return _BEFORE.over(tx, places)


def history_hashes(entries: Sequence[HistoryEntry], before: Mapping[ResetId, str]) -> list[str]:
    """The hash of each entry, in order; those of one reset follow one another and what is stored of it."""
    last: dict[ResetId, str] = dict(before)
    hashes = []
    for entry in entries:
        last[entry.reset_id] = link(last.get(entry.reset_id, BEGINNING), content(entry))
        hashes.append(last[entry.reset_id])
    return hashes


def content(entry: HistoryEntry) -> Mapping[str, Any]:
    """What the hash of a line of history covers."""
    return entry.model_dump(mode="json", by_alias=True)


async def page(
    tx: Tx, *, environment: str | None, actor: str | None, since: datetime | None, limit: int
) -> tuple[AuditEntry, ...]:
    """Newest first."""
    found = select(AUDIT).order_by(AUDIT.c.at.desc(), AUDIT.c.chain.desc(), AUDIT.c.number.desc())
    if environment is not None:
        found = found.where(AUDIT.c.environment == environment)
    if actor is not None:
        found = found.where(AUDIT.c.actor == actor)
    if since is not None:
        found = found.where(AUDIT.c.at >= since)
    return tuple(audit_of(row) for row in (await tx.connection.execute(found.limit(limit))).mappings())


async def broken(tx: Tx) -> tuple[str, ...]:
    """One sentence for each chain that is not whole: its first broken line."""
    flaws = [flaw async for flaw in _histories(tx)]
    flaws += [flaw async for flaw in _audits(tx)]
    return tuple(flaws)


async def _histories(tx: Tx) -> AsyncIterator[str]:
    rows = select(RESETS.c.id, RESETS.c.environment, RESETS.c.number, RESETS.c.sequence)
    told = {row.id: row for row in await tx.connection.execute(rows)}
    chains = await _grouped(tx, select(HISTORY).order_by(HISTORY.c.reset_id, HISTORY.c.sequence), "reset_id")
    for reset_id in sorted({*told, *chains}):
        reset = told.get(reset_id)
        lines = [_history_line(row) for row in chains.get(reset_id, [])]
        flaw = first_break(lines, length=reset.sequence if reset else 0)
        if flaw is not None:
            name = f"{reset.environment}/{reset.number}" if reset else f"reset {reset_id}, which is not there"
            yield f"history of {name}: line {flaw.number} {flaw.why}"


async def _audits(tx: Tx) -> AsyncIterator[str]:
    heads = {row.chain: row for row in await tx.connection.execute(select(AUDIT_HEADS))}
    resets = set((await tx.connection.execute(select(RESETS.c.id))).scalars())
    chains = await _grouped(tx, select(AUDIT).order_by(AUDIT.c.chain, AUDIT.c.number), "chain")
    for chain in sorted({*heads, *chains, *resets}):
        head = heads.get(chain)
        if head is None:
            yield f"audit of {chain}: its end is not known; its line 1 is missing or was added"
            continue
        lines = [audit.line(audit_of(row)) for row in chains.get(chain, [])]
        flaw = first_break(lines, length=head.number, last=head.hash)
        if flaw is not None:
            yield f"audit of {chain}: line {flaw.number} {flaw.why}"


async def _grouped(tx: Tx, found: Select[Any], name: str) -> dict[str, list[RowMapping]]:
    rows = (await tx.connection.execute(found)).mappings().all()
    return {each: list(group) for each, group in groupby(rows, key=lambda row: row[name])}


def _history_line(row: RowMapping) -> Line:
    return Line(row["sequence"], content(history_of(row)), row["hash"])
