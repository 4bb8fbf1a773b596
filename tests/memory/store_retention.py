"""The store in memory: how old rows go.

Over 300 lines: the rules of one pruning, which see the same rows.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime

from schemas.learned import LearnedKey
from schemas.resets import Reset, ResetState
from schemas.retention import Pruned, Refusal, Retention
from schemas.wire import ResetId, Time
from statemachines.history.audit import DAEMON
from statemachines.retention import (
    ANSWERED,
    NO_SUCH_ENVIRONMENT,
    REFUSED_AGAIN,
    SUPERSEDABLE,
    WAITS_FOR_ITS_ENVIRONMENT,
    add_refused,
    is_over,
)
from tests.memory.state import Entry, LockGrant, OutboxMessage
from tests.memory.store_queries import MemoryStoreQueries

_HOLDERS_KEPT = 2


class MemoryRetentionStore(MemoryStoreQueries):
    """Implements `daemon.ports.store.retention.RetentionStore`."""

    @abstractmethod
    def _is_free(self, entry: Entry) -> bool: ...

    async def prune(self, retention: Retention, *, now: Time, limit: int) -> Pruned:
        await asyncio.sleep(0)
        removed: Counter[str] = Counter(environments=self._give_up_environments(limit))
        answers, over = self._answers(retention, now)[:limit], self._over(retention, now)[:limit]
        rejected = [self._state.entries[reset_id].reset for reset_id in answers]
        self._state.refusals |= add_refused(self._state.refusals, rejected)
        for reset_id in (*answers, *over):
            removed += self._remove(reset_id, answer=reset_id in answers)
        removed["lock_history"] += self._forget_grants(limit)
        if retention.records is not None:
            removed += self._prune_records(retention, now - retention.records, limit)
        if retention.resets is not None:
            removed["learned"] += self._prune_learned(now - retention.resets, limit)
        if retention.audit is not None:
            removed += self._prune_audit(now - retention.audit, limit)
        removed["refusals"] += self._give_up_names(retention, now, limit)
        return Pruned({table: rows for table, rows in sorted(removed.items()) if rows}, (*answers, *over))

    async def forget_backup(self, path: str) -> None:
        await asyncio.sleep(0)
        self._state.backups.pop(path, None)

    async def refusals(self, *, limit: int = 100) -> tuple[Refusal, ...]:
        await asyncio.sleep(0)
        return tuple(self._refusals_newest_first()[:limit])

    async def table_sizes(self) -> Mapping[str, int]:
        await asyncio.sleep(0)
        state = self._state
        return {
            "acts": len(state.acts),
            "attempts": len(state.attempts),
            "audit": len(state.audit),
            "backups": len(state.backups),
            "dead_letters": len(state.dead_letters),
            "environments": len(state.numbers),
            "history": sum(map(len, state.history.values())),
            "idempotency_keys": len(state.keys),
            "joined_requesters": sum(len(entry.reset.requested_by) - 1 for entry in state.entries.values()),
            "learned": len(state.learned),
            "lock_history": len(state.grants),
            "outbox": len(state.outbox),
            "pending_acts": len(state.pending),
            "plans": len(state.plans),
            "refusals": len(state.refusals),
            "resets": len(state.entries),
            "seen_events": len(state.seen),
            "steps": sum(map(len, state.steps.values())),
        }

    # -- resets ---------------------------------------------------------------------------------------------------
    def _resets(self) -> list[Reset]:
        return [entry.reset for _, entry in sorted(self._state.entries.items())]

    def _answers(self, retention: Retention, now: datetime) -> list[ResetId]:
        if retention.answers is None:
            return []
        answers = [reset for reset in self._resets() if reset.state in ANSWERED]
        unknown = {
            reset.id
            for reset in answers
            if reset.cause in NO_SUCH_ENVIRONMENT and reset.channel is not WAITS_FOR_ITS_ENVIRONMENT
        }
        known = [reset for reset in answers if reset.id not in unknown]
        keyed = {use.reset_id for use in self._state.keys.values()}
        beyond = {
            reset.id
            for reset in known[: -max(retention.most_answers, 1)]
            if not (reset.id in keyed and _may_be_done_next_time(reset))
        }
        beyond |= set(sorted(unknown)[: -max(retention.most_unknown, 1)])
        return [
            reset.id
            for reset in answers
            if (
                reset.id in beyond
                or reset.updated_at < now - retention.answers
                or (reset.id in unknown and reset.updated_at < now - retention.unknown)
            )
            and not (self._is_newest(reset) and self._has_worked(reset.environment))
            and self._rests(reset)
        ]

    def _over(self, retention: Retention, now: datetime) -> list[ResetId]:
        if retention.resets is None:
            return []
        pinned = {taker for taker, _ in self._state.backups.values()}
        pinned |= {use.reset_id for use in self._state.keys.values()}
        pinned |= {row.reset_id for row in self._state.locks}
        return [
            reset.id
            for reset in self._resets()
            if reset.state not in ANSWERED
            and self._is_over(reset.id)
            and reset.updated_at < now - retention.resets
            and reset.id not in pinned
            and self._has_worked(reset.environment, after=reset.number)
            and self._rests(reset)
        ]

    def _is_newest(self, reset: Reset) -> bool:
        return all(
            other.number <= reset.number for other in self._resets() if other.environment == reset.environment
        )

    def _has_worked(self, environment: str, *, after: int = 0) -> bool:
        return any(
            other.environment == environment and other.number > after and other.state not in ANSWERED
            for other in self._resets()
        )

    def _rests(self, reset: Reset) -> bool:
        entry = self._state.entries[reset.id]
        newest = self._newest_message()
        told = [row for row in self._state.outbox if row.reset_id == reset.id]
        return (
            not entry.live
            and self._is_free(entry)
            and not self._unread(reset.id, reset.acts_seen)
            and all(self._settled(row) and row.id < newest for row in told)
        )

    def _newest_message(self) -> int:
        return self._state.outbox[-1].id if self._state.outbox else 0

    @staticmethod
    def _settled(row: OutboxMessage) -> bool:
        return row.published_at is not None or row.refused is not None

    def _remove(self, reset_id: ResetId, *, answer: bool) -> Counter[str]:
        state, removed = self._state, Counter[str](resets=1)
        entry = state.entries.pop(reset_id)
        removed["joined_requesters"] = len(entry.reset.requested_by) - 1
        removed["outbox"] = self._remove_messages(
            {row.id for row in state.outbox if row.reset_id == reset_id}
        )
        removed["history"] = len(state.history.pop(reset_id, ()))
        removed["steps"] = len(state.steps.pop(reset_id, ()))
        for plan in [key for key in state.plans if key[0] == reset_id]:
            del state.plans[plan]
            removed["plans"] += 1
        for attempt in [each.id for each in state.attempts.values() if each.reset_id == reset_id]:
            del state.attempts[attempt]
            removed["attempts"] += 1
        removed["acts"] = sum(act.reset_id == reset_id for act in state.acts)
        state.acts = [act for act in state.acts if act.reset_id != reset_id]
        events = [event for event, led_to in state.seen.items() if led_to == reset_id]
        if not answer or _may_be_done_next_time(entry.reset):
            state.seen |= dict.fromkeys(events)
            events = []
        removed["seen_events"] = self._forget_events(events)
        if not answer:
            return removed
        keys = [key for key, use in state.keys.items() if use.reset_id == reset_id]
        for key in keys:
            del state.keys[key]
        removed["idempotency_keys"] = len(keys)
        return removed + self._remove_chains({reset_id} - _audited(entry.reset))

    def _remove_messages(self, ids: Collection[int]) -> int:
        state = self._state
        if ids:
            state.outbox_pruned = max(state.outbox_pruned, *(number + 1 for number in ids))
            state.outbox = [row for row in state.outbox if row.id not in ids]
        return len(ids)

    def _forget_events(self, events: Collection[tuple[str, str]]) -> int:
        for event in events:
            del self._state.seen[event], self._state.seen_at[event]
        return len(events)

    def _remove_chains(self, chains: Collection[str]) -> Counter[str]:
        state = self._state
        lines = sum(entry.chain in chains for entry in state.audit)
        heads = [chain for chain in chains if state.audit_heads.pop(chain, None) is not None]
        state.audit = [entry for entry in state.audit if entry.chain not in chains]
        return Counter(audit=lines, audit_heads=len(heads))

    # -- records --------------------------------------------------------------------------------------------------
    def _is_over(self, reset_id: ResetId | None) -> bool:
        if reset_id is None:
            return True
        reset = self._state.entries[reset_id].reset
        return is_over(reset) or (reset.state in SUPERSEDABLE and self._superseded_by(reset.id) is not None)

    def _prune_records(self, retention: Retention, before: datetime, limit: int) -> Counter[str]:
        state = self._state
        events = [
            event
            for event, led_to in state.seen.items()
            if state.seen_at[event] < before and self._is_over(led_to)
        ]
        keys = [
            key
            for key, use in state.keys.items()
            if self._is_over(use.reset_id) and state.entries[use.reset_id].reset.updated_at < before
        ][:limit]
        for key in keys:
            del state.keys[key]
        kept_acts = set(list(state.pending)[-max(retention.most_pending, 1) :])
        pending = [
            number for number, new in state.pending.items() if new.act.at < before or number not in kept_acts
        ][:limit]
        for number in pending:
            del state.pending[number]
        letters = {message.id for _, message, _ in state.dead_letters.values()}
        old = {
            row.id
            for row in state.outbox
            if row.published_at is not None
            and row.published_at < before
            and row.id < self._newest_message()
            and row.id not in letters
        }
        messages = self._remove_messages(sorted(old)[:limit])
        kept_letters = set(list(state.dead_letters)[-max(retention.most_letters, 1) :])
        due = [
            number
            for number, (_, message, at) in state.dead_letters.items()
            if self._settled(message)
            and message.id < self._newest_message()
            and (at < before or number not in kept_letters)
        ][:limit]
        messages += self._remove_messages([state.dead_letters.pop(number)[1].id for number in due])
        return Counter(
            seen_events=self._forget_events(events[:limit]),
            idempotency_keys=len(keys),
            pending_acts=len(pending),
            dead_letters=len(due),
            outbox=messages,
        )

    def _forget_grants(self, limit: int) -> int:
        grants = self._state.grants

        def is_needless(index: int, grant: LockGrant) -> bool:
            later = {
                other.reset_id
                for other in grants[index + 1 :]
                if other.key == grant.key and other.reset_id != grant.reset_id
            }
            gone = grant.reset_id not in self._state.entries
            return grant.released and gone and len(later) >= _HOLDERS_KEPT

        needless = [index for index, grant in enumerate(grants) if is_needless(index, grant)][:limit]
        self._state.grants = [grant for index, grant in enumerate(grants) if index not in needless]
        return len(needless)

    def _prune_learned(self, before: datetime, limit: int) -> int:
        learned = self._state.learned

        def is_followed(key: LearnedKey) -> bool:
            return any(
                other.model_copy(update={"image": key.image}) == key and learned[other].at > learned[key].at
                for other in learned
            )

        old = [key for key in learned if learned[key].at < before and is_followed(key)]
        due = sorted(old, key=lambda key: learned[key].at)[:limit]
        for key in due:
            del learned[key]
        return len(due)

    def _prune_audit(self, before: datetime, limit: int) -> Counter[str]:
        last = {entry.chain: entry.at for entry in self._state.audit}
        old = [
            chain
            for chain, at in last.items()
            if chain != DAEMON and at < before and chain not in self._state.entries
        ]
        return self._remove_chains(old[:limit])

    # -- environments that are none -------------------------------------------------------------------------------
    def _refusals_newest_first(self) -> list[Refusal]:
        by_name = sorted(self._state.refusals.values(), key=lambda each: each.environment)
        return sorted(by_name, key=lambda each: each.last_at, reverse=True)

    def _give_up_environments(self, limit: int) -> int:
        state = self._state
        used = {reset.environment for reset in self._resets()}
        names = sorted(name for name in state.numbers if name not in used)[:limit]
        for name in names:
            counters = state.numbers.pop(name), state.sequences.pop(name, 0)
            if name in state.refusals:
                state.forgotten[name] = counters
            else:
                self._raise_floors(counters)
        return len(names)

    def _give_up_names(self, retention: Retention, now: datetime, limit: int) -> int:
        if retention.answers is None:
            return 0
        newest_first = self._refusals_newest_first()
        kept = {each.environment for each in newest_first[: retention.most_names]}
        before = now - retention.answers
        due = [
            each for each in reversed(newest_first) if each.environment not in kept or each.last_at < before
        ]
        for each in due[:limit]:
            del self._state.refusals[each.environment]
            self._raise_floors(self._state.forgotten.pop(each.environment, (0, 0)))
        return len(due[:limit])

    def _raise_floors(self, counters: tuple[int, int]) -> None:
        number, sequence = self._state.floors
        self._state.floors = max(number, counters[0]), max(sequence, counters[1])

    def _raise_forgotten(self, by: int) -> None:
        """Let all that was forgotten go on above what a lost state may have told."""
        state = self._state
        for name, (number, sequence) in state.forgotten.items():
            state.forgotten[name] = number + by, sequence + by
        if any(state.floors):
            state.floors = state.floors[0] + by, state.floors[1] + by


def _audited(reset: Reset) -> set[str]:
    """The chain of a request that a rule refused, which stays; the intake's refusals have one status."""
    by_a_rule = reset.state is ResetState.REJECTED and reset.sequence > 1
    return {reset.id} if by_a_rule and _may_be_done_next_time(reset) else set()


def _may_be_done_next_time(reset: Reset) -> bool:
    return reset.state is ResetState.PLANNED or reset.cause not in {*REFUSED_AGAIN, None}
