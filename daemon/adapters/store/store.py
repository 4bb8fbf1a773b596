"""The store on SQLite and PostgreSQL: each method of the port is one transaction around a function of this package."""

# ruff: noqa: D102 - what each method promises is said once, in the port

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import text

from daemon.adapters.store import auditing, freezes, holds, protection, queries, state
from daemon.adapters.store.connections.addresses import is_embedded, parse
from daemon.adapters.store.connections.engine import make_engine
from daemon.adapters.store.connections.transactions import Transactions, Tx
from daemon.adapters.store.intake import admission
from daemon.adapters.store.leases import acts, claiming, learning, locking
from daemon.adapters.store.leases.shared_commits import SharedCommits
from daemon.adapters.store.outbox import publishing
from daemon.adapters.store.retention import pruning, refused_names
from daemon.adapters.store.retention.removal import forget_backup
from daemon.ports.store.leases import Change, Claimed, Lease, LockAnswer
from daemon.ports.store.outbox import OutboxRow, StatusTopics
from daemon.ports.store.queries import LockRow
from daemon.ports.store.restraints import HoldAnswer, HoldChanges, StandingFreeze, StandingHold
from daemon.ports.store.state import Lost
from schemas.audit import AuditEntry
from schemas.freezes import Freeze, KeptFreeze
from schemas.holds import Hold, KeptHold
from schemas.intake import Admission, Batch, NewRequest
from schemas.learned import Learned
from schemas.marks import Position
from schemas.plan import Plan
from schemas.protection import KeptWord, ProtectedUse, RememberedUse, Word
from schemas.records import LogPosition, Message
from schemas.resets import Act, Attempt, HistoryEntry, Reset, ResetState, Step
from schemas.retention import Pruned, Refusal, Retention
from schemas.wire import ResetId, ResourceKey, Time


def open_store(
    database_url: str, topics: StatusTopics | None = None, *, url_file: Path | None = None
) -> SqlStore:
    """Make a store, which connects when it is first used. The schema has to be there (`migrations.upgrade`).

    `url_file` is where the URL was read from: role and password in it are read again for each connection.

    Raises:
        PermanentError: the address is neither a SQLite file nor PostgreSQL.
    """
    return SqlStore(database_url, topics or StatusTopics(), url_file)


class SqlStore:
    """Implements `daemon.ports.store.store.Store`. Use it as an async context manager, or call `close`."""

    def __init__(self, database_url: str, topics: StatusTopics, url_file: Path | None = None) -> None:
        url = parse(database_url)
        engine = make_engine(url, url_file)
        self._transactions = Transactions(engine, postgres=not is_embedded(url), topics=topics)
        self._state_id: str | None = None
        self._read, self._write = self._transactions.read, self._transactions.write
        self._commits = SharedCommits(self._transactions)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- intake ---------------------------------------------------------------------------------------------------
    async def positions(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], LogPosition]:
        return await self._read(lambda tx: admission.positions(tx, partitions))

    async def take_in(self, batch: Batch, *, now: Time, limit_waiting: int) -> tuple[Admission, ...]:
        return await self._write(
            lambda tx: admission.take_in(tx, batch, now=now, limit_waiting=limit_waiting)
        )

    async def admit(self, new: NewRequest, *, now: Time, limit_waiting: int) -> Admission:
        return await self._write(lambda tx: admission.admit(tx, new, now=now, limit_waiting=limit_waiting))

    async def append_act(self, act: Act) -> Act:
        [stored] = await self._write(lambda tx: acts.append(tx, [act]))
        return stored

    async def append_audit(self, entry: AuditEntry) -> None:
        await self._write(lambda tx: auditing.append(tx, [entry]))

    # -- engine ---------------------------------------------------------------------------------------------------
    async def claim(
        self, owner: str, *, ttl: float, limit: int, excluding: frozenset[ResetId]
    ) -> tuple[Claimed, ...]:
        return await self._write(
            lambda tx: claiming.claim(tx, owner, ttl=ttl, limit=limit, excluding=excluding)
        )

    async def renew(self, leases: Sequence[Lease], *, ttl: float) -> frozenset[ResetId]:
        return await self._write(lambda tx: claiming.renew(tx, leases, ttl=ttl))

    async def release_all(self) -> int:
        return await self._write(claiming.release_all)

    async def seize(self, owner: str, reset_ids: Sequence[ResetId], *, ttl: float) -> tuple[Claimed, ...]:
        return await self._write(lambda tx: claiming.seize(tx, owner, reset_ids, ttl=ttl))

    async def save(self, change: Change) -> Reset:
        return await self._commits.save(change)

    async def unread_acts(self, reset_id: ResetId, after: int) -> tuple[Act, ...]:
        return (await self._read(lambda tx: queries.acts_after(tx, {reset_id: after})))[reset_id]

    async def lock(
        self, lease: Lease, keys: Sequence[ResourceKey], *, concerns: Collection[str] = ()
    ) -> LockAnswer:
        return await self._write(lambda tx: locking.lock(tx, lease, keys, concerns))

    async def learned(self, environment: str) -> tuple[Learned, ...]:
        return await self._read(lambda tx: learning.learned(tx, environment))

    # -- protected environments -----------------------------------------------------------------------------------
    async def remember_protected(self, uses: Sequence[ProtectedUse], *, now: Time) -> None:
        if uses:
            await self._write(lambda tx: protection.remember(tx, uses, now))

    async def protected(self) -> tuple[RememberedUse, ...]:
        return await self._read(protection.remembered)

    async def give_word(self, word: Word, entry: AuditEntry) -> None:
        await self._write(lambda tx: protection.give(tx, word, entry))

    async def withdraw_word(self, word_id: str, by: str, entry: AuditEntry, *, now: Time) -> bool:
        return await self._write(lambda tx: protection.withdraw(tx, word_id, by, entry, now))

    async def words(self, *, now: Time, ended: bool = False) -> tuple[KeptWord, ...]:
        return await self._read(lambda tx: protection.words(tx, now, ended=ended))

    # -- what people hold back ------------------------------------------------------------------------------------
    async def freeze(self, freeze: Freeze, entry: AuditEntry) -> None:
        await self._write(lambda tx: freezes.freeze(tx, freeze, entry))

    async def unfreeze(self, environment: str | None, entry: AuditEntry) -> tuple[Freeze, ...]:
        return await self._write(lambda tx: freezes.unfreeze(tx, environment, entry))

    async def freezes(self) -> tuple[StandingFreeze, ...]:
        return await self._read(freezes.standing)

    async def kept_freezes(self, *, limit: int = 100) -> tuple[KeptFreeze, ...]:
        return await self._read(lambda tx: freezes.kept(tx, limit))

    async def hold(self, hold: Hold, entry: AuditEntry, *, after: bool) -> HoldAnswer:
        return await self._write(lambda tx: holds.hold(tx, hold, entry, after=after))

    async def unhold(self, hold_id: str, entry: AuditEntry) -> KeptHold | None:
        return await self._write(lambda tx: holds.unhold(tx, hold_id, entry))

    async def holds(self) -> tuple[StandingHold, ...]:
        return await self._read(holds.standing)

    async def kept_holds(self, *, limit: int = 100) -> tuple[KeptHold, ...]:
        return await self._read(lambda tx: holds.kept(tx, limit))

    async def settle_holds(self) -> HoldChanges:
        return await self._write(holds.settle)

    async def tell_hold_end(self, hold_id: str, expires_at: Time, message: Message) -> bool:
        return await self._write(lambda tx: holds.tell_end(tx, hold_id, expires_at, message))

    # -- retention ------------------------------------------------------------------------------------------------
    async def prune(self, retention: Retention, *, now: Time, limit: int) -> Pruned:
        return await self._write(lambda tx: pruning.prune(tx, retention, now=now, limit=limit))

    async def forget_backup(self, path: str) -> None:
        await self._write(lambda tx: forget_backup(tx, path))

    async def refusals(self, *, limit: int = 100) -> tuple[Refusal, ...]:
        return await self._read(lambda tx: refused_names.page(tx, limit))

    async def table_sizes(self) -> Mapping[str, int]:
        return await self._read(pruning.table_sizes)

    # -- the state as a whole -------------------------------------------------------------------------------------
    async def state_id(self) -> str:
        if self._state_id is None:
            self._state_id = await self._write(state.state_id)
        return self._state_id

    async def position(self) -> Position:
        return await self._read(state.newest_position)

    async def contains(self, position: Position) -> bool:
        return await self._read(lambda tx: state.contains(tx, position))

    async def adopt(
        self, entry: AuditEntry, events: Sequence[tuple[str, str]], lost: Lost, *, now: Time
    ) -> None:
        await self._write(lambda tx: state.adopt(tx, entry, events, lost, now))

    # -- outbox ---------------------------------------------------------------------------------------------------
    async def may_publish(self, owner: str, *, ttl: float) -> bool:
        return await self._write(lambda tx: publishing.may_publish(tx, owner, ttl=ttl))

    async def unpublished(self, limit: int) -> tuple[OutboxRow, ...]:
        return await self._read(lambda tx: publishing.unpublished(tx, limit))

    async def count_unpublished(self) -> int:
        return await self._read(publishing.count_unpublished)

    async def published(self, ids: Sequence[int], refused: Mapping[int, str], *, now: Time) -> None:
        await self._write(lambda tx: publishing.mark_published(tx, ids, refused, now))

    # -- reading --------------------------------------------------------------------------------------------------
    async def find(self, reference: str) -> Reset | None:
        return await self._read(lambda tx: queries.find(tx, reference))

    async def resets(
        self,
        *,
        environment: str | None = None,
        states: Sequence[ResetState] | None = None,
        limit: int = 50,
        before: tuple[str, str] | None = None,
    ) -> tuple[Reset, ...]:
        return await self._read(lambda tx: queries.page(tx, environment, states, limit, before))

    async def plan(self, reset_id: ResetId) -> Plan | None:
        return (await self._read(lambda tx: queries.plans(tx, [reset_id]))).get(reset_id)

    async def steps(self, reset_id: ResetId) -> tuple[Step, ...]:
        return (await self._read(lambda tx: queries.steps(tx, [reset_id])))[reset_id]

    async def attempts(self, reset_id: ResetId) -> tuple[Attempt, ...]:
        return (await self._read(lambda tx: queries.attempts(tx, [reset_id])))[reset_id]

    async def history(self, reset_id: ResetId, *, after: int = 0) -> tuple[HistoryEntry, ...]:
        return await self._read(lambda tx: queries.history(tx, reset_id, after))

    async def audit(
        self,
        *,
        environment: str | None = None,
        actor: str | None = None,
        since: Time | None = None,
        before: AuditEntry | None = None,
        limit: int = 100,
    ) -> tuple[AuditEntry, ...]:
        return await self._read(
            lambda tx: auditing.page(
                tx, environment=environment, actor=actor, since=since, before=before, limit=limit
            )
        )

    async def broken_chains(self) -> tuple[str, ...]:
        """Name the first broken line of each history and audit chain that is not whole; empty when all are."""
        return await self._read(auditing.broken_chains)

    async def locks(self) -> tuple[LockRow, ...]:
        return await self._read(locking.list_locks)

    async def backups(self, *, reset_id: ResetId | None = None) -> tuple[Mapping[str, Any], ...]:
        return await self._read(lambda tx: queries.backups(tx, reset_id))

    async def dead_letters(self, *, limit: int = 50) -> tuple[Mapping[str, Any], ...]:
        return await self._read(lambda tx: queries.dead_letters(tx, limit))

    async def superseded_by(self, reset_id: ResetId) -> ResetId | None:
        return await self._read(lambda tx: locking.superseded_by(tx, reset_id))

    async def ping(self) -> None:
        async def work(tx: Tx) -> None:
            await tx.connection.execute(text("SELECT 1"))

        await self._read(work)

    async def close(self) -> None:
        await self._commits.close()
        await self._transactions.close()
