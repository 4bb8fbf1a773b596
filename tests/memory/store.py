"""The store in memory, for simulations: nothing survives, and leases run by a clock that is given.

Over 300 lines: one store behind one lock, held to the contract of the real one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from types import TracebackType
from typing import Any, Self

from daemon.ports.clock import Clock
from daemon.ports.errors import LeaseLostError, PermanentError, TemporaryError
from daemon.ports.store.leases import LONGEST_SLEEP, Change, Claimed, Lease, LockAnswer
from daemon.ports.store.outbox import StatusTopics
from daemon.ports.store.queries import LockRow
from daemon.ports.store.state import Lost
from schemas.audit import AuditEntry
from schemas.intake import Admission, Batch, NewRequest
from schemas.learned import Learned
from schemas.marks import Position
from schemas.reasons import Reason
from schemas.records import LogPosition
from schemas.resets import Act, Reset, Step
from schemas.wire import ResetId, ResourceKey, Time
from statemachines.commits import LEASE_HOLDER_FIELDS, check_commit
from statemachines.freezes import sentence
from statemachines.intake.references import references
from statemachines.locks import Ask, blocked, supersedes
from tests.memory.state import Entry, LockGrant, copied
from tests.memory.store_protection import MemoryProtectionStore
from tests.memory.store_restraints import MemoryRestraintStore
from tests.memory.store_retention import MemoryRetentionStore


class MemoryStore(MemoryProtectionStore, MemoryRestraintStore, MemoryRetentionStore):
    """Implements `daemon.ports.store.store.Store`.

    Each method lets other tasks run first, and then does all of its work without a pause.
    """

    def __init__(self, clock: Clock, topics: StatusTopics | None = None) -> None:
        super().__init__(topics or StatusTopics())
        self._clock = clock
        self.watchers: list[Callable[[Change], None]] = []
        """Called with each change that is about to be stored."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def clock(self) -> Clock:
        """Return the clock by which leases, freezes and holds end."""
        return self._clock

    # -- intake ---------------------------------------------------------------------------------------------------
    async def positions(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], LogPosition]:
        await asyncio.sleep(0)
        stored = self._state.positions
        return {partition: stored[partition] for partition in partitions if partition in stored}

    async def take_in(self, batch: Batch, *, now: Time, limit_waiting: int) -> tuple[Admission, ...]:
        await asyncio.sleep(0)
        partition = (batch.topic, batch.partition)
        expected = batch.first if batch.expected is None else batch.expected
        stored = self._state.positions.get(partition)
        if stored is not None and stored.next != expected:
            raise LeaseLostError(
                f"{batch.topic}/{batch.partition} is not at {expected}: another consumer has it"
            )
        desk = self._state.load_desk(references(batch.entries), now=now, limit_waiting=limit_waiting)
        admissions = [desk.take(entry) for entry in batch.entries]
        self._state.store_desk(desk)
        self._state.positions[partition] = LogPosition(batch.next, batch.last)
        return tuple(admission for admission in admissions if admission is not None)

    async def admit(self, new: NewRequest, *, now: Time, limit_waiting: int) -> Admission:
        await asyncio.sleep(0)
        desk = self._state.load_desk(references([new]), now=now, limit_waiting=limit_waiting)
        admission = desk.take(new)
        if admission is None:
            raise ValueError("an act was handled under this source and id")
        self._state.store_desk(desk)
        return admission

    async def append_act(self, act: Act) -> Act:
        await asyncio.sleep(0)
        if act.reset_id not in self._state.entries:
            raise PermanentError(Reason.UNKNOWN_RESET, f"there is no reset {act.reset_id}")
        return self._state.append_acts([act])[0]

    async def append_audit(self, entry: AuditEntry) -> None:
        await asyncio.sleep(0)
        self._state.append_audit([entry])

    # -- engine ---------------------------------------------------------------------------------------------------
    async def claim(
        self, owner: str, *, ttl: float, limit: int, excluding: frozenset[ResetId]
    ) -> tuple[Claimed, ...]:
        await asyncio.sleep(0)
        due = [
            entry
            for reset_id, entry in self._state.entries.items()
            if reset_id not in excluding and self._is_due(entry)
        ]
        due.sort(key=lambda entry: (entry.reset.created_at, entry.reset.id))
        return tuple(self._claim(entry, owner, ttl) for entry in due[:limit])

    def _is_due(self, entry: Entry) -> bool:
        now = self._clock.now()
        if not self._is_free(entry):
            return False
        awake = entry.reset.wake_at is None or not now < entry.reset.wake_at <= now + LONGEST_SLEEP
        return (entry.live and awake) or bool(self._unread(entry.reset.id, entry.reset.acts_seen))

    def _is_free(self, entry: Entry) -> bool:
        return entry.owner is None or entry.until is None or entry.until <= self._clock.now()

    def _claim(self, entry: Entry, owner: str, ttl: float) -> Claimed:
        reset = entry.reset
        idle = reset.claims_without_progress + 1 if entry.claimed_version == reset.version else 0
        entry.reset = reset.model_copy(update={"fence": reset.fence + 1, "claims_without_progress": idle})
        entry.owner, entry.claimed_version = owner, reset.version
        entry.until = self._clock.now() + timedelta(seconds=ttl)
        return Claimed(
            reset=entry.reset,
            lease=Lease(reset.id, owner, entry.reset.fence),
            plan=self._plan(reset.id),
            steps=self._steps(reset.id),
            open_attempts=tuple(attempt for attempt in self._attempts(reset.id) if attempt.outcome is None),
            acts=self._unread(reset.id, reset.acts_seen),
        )

    async def renew(self, leases: Sequence[Lease], *, ttl: float) -> frozenset[ResetId]:
        await asyncio.sleep(0)
        ours = [lease for lease in leases if self._holds(lease)]
        for lease in ours:
            self._state.entries[lease.reset_id].until = self._clock.now() + timedelta(seconds=ttl)
        return frozenset(lease.reset_id for lease in ours)

    async def release_all(self) -> int:
        await asyncio.sleep(0)
        leased = [entry for entry in self._state.entries.values() if entry.owner is not None]
        for entry in leased:
            entry.owner = entry.until = None
        self._state.publisher = None
        return len(leased)

    async def may_publish(self, owner: str, *, ttl: float) -> bool:
        await asyncio.sleep(0)
        now = self._clock.now()
        if (
            self._state.publisher is not None
            and self._state.publisher[0] != owner
            and self._state.publisher[1] > now
        ):
            return False
        self._state.publisher = (owner, now + timedelta(seconds=ttl))
        return True

    async def seize(self, owner: str, reset_ids: Sequence[ResetId], *, ttl: float) -> tuple[Claimed, ...]:
        await asyncio.sleep(0)
        entries = self._state.entries
        known = [entries[reset_id] for reset_id in sorted(reset_ids) if reset_id in entries]
        return tuple(self._claim(entry, owner, ttl) for entry in known)

    async def save(self, change: Change) -> Reset:
        await asyncio.sleep(0)
        check_commit(change.reset, change.plan, change.history)
        reset_id = change.reset.id
        entry = self._leased(change.lease)
        if entry.reset.id != reset_id or entry.reset.version != change.reset.version:
            raise LeaseLostError(f"reset {reset_id} has another holder or version")
        if entry.reset.sequence != change.reset.sequence - len(change.history):
            raise ValueError(
                f"reset {reset_id} is at sequence {entry.reset.sequence}: the history would leave a gap"
            )
        if (by := self._stopping(change)) is not None:
            raise TemporaryError(Reason.FROZEN, sentence(by))
        self._watched(change)
        update: dict[str, Any] = {name: getattr(change.reset, name) for name in LEASE_HOLDER_FIELDS}
        update |= {"version": entry.reset.version + 1, "claims_without_progress": 0}
        if change.release_locks:
            update["ticket"] = None
            self._state.release_locks(reset_id)
        entry.reset = entry.reset.model_copy(update=update)
        if change.release_lease:
            entry.owner = entry.until = None
        self._put_plan_and_steps(change)
        for attempt in change.attempts:
            self._state.attempts[attempt.id] = copied(attempt)
        for backup in change.backups:
            self._state.backups[backup.path] = (reset_id, backup)
        self._state.append_history([(entry.reset, line) for line in change.history])
        self._state.append_audit(change.audit)
        for learned in change.learned:
            self._state.learned[learned.key] = copied(learned)
        for key in change.forgotten:
            self._state.learned.pop(key, None)
        return entry.reset

    def _watched(self, change: Change) -> None:
        for watch in self.watchers:
            watch(change)

    async def learned(self, environment: str) -> tuple[Learned, ...]:
        await asyncio.sleep(0)
        found = (one for one in self._state.learned.values() if one.key.environment == environment)
        return tuple(sorted(found, key=lambda one: (one.key.step, one.key.check, one.at)))

    def _put_plan_and_steps(self, change: Change) -> None:
        steps = self._state.steps[change.reset.id]
        if change.plan is not None:
            self._state.plans[change.reset.id, change.plan.hash] = copied(change.plan)
            steps.clear()
            for index, planned in enumerate(change.plan.steps):
                numbers = [
                    attempt.number
                    for attempt in self._attempts(change.reset.id)
                    if attempt.step == planned.name
                ]
                last = max(numbers, default=0)
                steps[planned.name] = Step(name=planned.name, index=index, attempts=last)
        for step in change.steps:
            steps[step.name] = copied(step)

    async def unread_acts(self, reset_id: ResetId, after: int) -> tuple[Act, ...]:
        await asyncio.sleep(0)
        return self._unread(reset_id, after)

    async def lock(
        self, lease: Lease, keys: Sequence[ResourceKey], *, concerns: Collection[str] = ()
    ) -> LockAnswer:
        await asyncio.sleep(0)
        entry, state = self._leased(lease), self._state
        if entry.reset.ticket is None:
            state.tickets += 1
            entry.reset = entry.reset.model_copy(update={"ticket": state.tickets})
        ticket = entry.reset.ticket or state.tickets
        wanted, mine = set(keys), [row for row in state.locks if row.reset_id == lease.reset_id]
        if {row.key for row in mine} == wanted and all(row.granted for row in mine):
            return LockAnswer(granted=True, ticket=ticket)
        if {row.key for row in mine} != wanted:
            state.release_locks(lease.reset_id)
            environment, now = entry.reset.environment, self._clock.now()
            state.locks += [
                LockRow(key, lease.reset_id, environment, ticket, granted=False, since=now) for key in wanted
            ]
        hold = self._keeping_away({entry.reset.environment, *concerns}, wanted)
        if hold is not None:
            kept = tuple(key for key in sorted(wanted) if key in hold.keys)
            return LockAnswer(granted=False, ticket=ticket, resources=kept, hold=hold)
        waits = blocked(Ask(lease.reset_id, ticket, frozenset(wanted)), self._asks())
        if waits is not None:
            return LockAnswer(granted=False, ticket=ticket, resources=waits.resources, held_by=waits.held_by)
        state.locks = [
            replace(row, granted=True, since=self._clock.now()) if row.reset_id == lease.reset_id else row
            for row in state.locks
        ]
        state.grants += [LockGrant(key, lease.reset_id) for key in sorted(wanted) if supersedes(key)]
        return LockAnswer(granted=True, ticket=ticket)

    def _asks(self) -> list[Ask]:
        asks: dict[ResetId, list[LockRow]] = defaultdict(list)
        for row in self._state.locks:
            asks[row.reset_id].append(row)
        return [
            Ask(reset_id, rows[0].ticket, frozenset(row.key for row in rows), granted=rows[0].granted)
            for reset_id, rows in asks.items()
        ]

    def _holds(self, lease: Lease) -> bool:
        entry = self._state.entries.get(lease.reset_id)
        return entry is not None and (entry.owner, entry.reset.fence) == (lease.owner, lease.fence)

    def _leased(self, lease: Lease) -> Entry:
        if not self._holds(lease):
            raise LeaseLostError(f"reset {lease.reset_id} has another holder")
        return self._state.entries[lease.reset_id]

    # -- the state as a whole -------------------------------------------------------------------------------------
    async def state_id(self) -> str:
        await asyncio.sleep(0)
        return self._state.id

    async def position(self) -> Position:
        await asyncio.sleep(0)
        return self._position(self._state.outbox[-1].id if self._state.outbox else 0)

    async def contains(self, position: Position) -> bool:
        await asyncio.sleep(0)
        if position.number and all(row.id != position.number for row in self._state.outbox):
            return position.number < self._state.outbox_pruned
        return self._position(position.number) == position

    async def adopt(
        self,
        entry: AuditEntry,
        events: Sequence[tuple[str, str]],
        lost: Lost,
        *,
        now: Time,
    ) -> None:
        await asyncio.sleep(0)
        for environment in lost.environments | self._state.sequences.keys():
            self._state.know(environment)
            self._state.sequences[environment] += lost.statuses
            self._state.numbers[environment] += lost.statuses
        for event in events:
            self._state.seen.setdefault(event, None)
            self._state.seen_at.setdefault(event, now)
        self._raise_forgotten(lost.statuses)
        self._state.supersede(lost.resets)
        for word in await self.words(now=now):
            self._withdraw(word.id, entry.actor, now)
        self._state.append_audit([entry])

    def _position(self, number: int) -> Position:
        if number == 0:
            return Position(number=0, digest="")
        content = repr(next(row.message for row in self._state.outbox if row.id == number)).encode()
        return Position(number=number, digest=sha256(content).hexdigest()[:32])
