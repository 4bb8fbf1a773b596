"""From Kafka into the state database: records, their offset and all that follows from them in one transaction.

The poll loop never waits for a reset. The offset that counts is the stored one; what the broker is told is for its
lag figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import structlog

from daemon.entries import IntakeRules, entry_of
from daemon.identifiers import new_reset_id
from daemon.metrics import Metrics
from daemon.ports.bus import Inbox, Record
from daemon.ports.clock import Clock
from daemon.ports.errors import LeaseLostError, TemporaryError
from daemon.ports.store import Admission, Batch, DeadLetter, Deprovision, NewAct, Store
from schemas.resets import ResetState

log = structlog.get_logger()

POLL = 0.5
"""Seconds that an empty poll waits."""
LONGEST_PAUSE = 15.0


class Intake:
    """One member of the consumer group."""

    def __init__(
        self,
        inbox: Inbox,
        store: Store,
        rules: IntakeRules,
        clock: Clock,
        metrics: Metrics,
        *,
        limit_waiting: int,
    ) -> None:
        self._inbox = inbox
        self._store = store
        self._rules = rules
        self._clock = clock
        self._metrics = metrics
        self._limit_waiting = limit_waiting
        # What is stored for each partition as far as this consumer knows. Offsets have gaps (transaction
        # markers, compaction), so the first record's own offset could not be compared with it.
        self._expected: dict[tuple[str, int], int] = {}

    async def run(self) -> None:
        """Until cancelled."""
        pause = POLL
        try:
            await self._join()
            while True:
                try:
                    records = await self._inbox.poll(timeout=POLL)
                    positions = await self._store_records(records)
                    if positions:
                        await self._inbox.acknowledge(positions)
                    pause = POLL
                except LeaseLostError:
                    log.warning("intake.partition-lost", detail="another consumer stored these records")
                    await self._inbox.rewind()
                except TemporaryError as error:
                    log.warning("intake.paused", detail=error.detail, seconds=pause)
                    await self._inbox.rewind()
                    await self._clock.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            await self._inbox.stop()

    async def _join(self) -> None:
        pause = POLL
        while True:
            try:
                await self._inbox.start(self._positions)
            except TemporaryError as error:
                log.warning("intake.no-broker", detail=error.detail, seconds=pause)
                await self._clock.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                return

    async def _positions(self, partitions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        stored = await self._store.positions(partitions)
        for partition in partitions:
            self._expected.pop(partition, None)
        self._expected.update(stored)
        return stored

    async def _store_records(self, records: Sequence[Record]) -> dict[tuple[str, int], int]:
        positions: dict[tuple[str, int], int] = {}
        for batch in self._batches(records):
            admissions = await self._store.take_in(
                batch, now=self._clock.now(), limit_waiting=self._limit_waiting
            )
            positions[batch.topic, batch.partition] = batch.next
            self._expected[batch.topic, batch.partition] = batch.next
            self._count(batch, admissions)
        return positions

    def _batches(self, records: Sequence[Record]) -> Iterator[Batch]:
        def partition(record: Record) -> tuple[str, int]:
            return record.topic, record.partition

        now = self._clock.now()
        for (topic, number), group in groupby(sorted(records, key=partition), key=partition):
            members = list(group)
            entries = [entry_of(one, self._rules, now=now, new_id=new_reset_id()) for one in members]
            yield Batch(
                topic=topic,
                partition=number,
                first=members[0].offset,
                expected=self._expected.get((topic, number)),
                next=members[-1].offset + 1,
                entries=tuple(entry for entry in entries if entry is not None),
            )

    def _count(self, batch: Batch, admissions: Sequence[Admission]) -> None:
        created = sum(one.created and one.reset.state is not ResetState.REJECTED for one in admissions)
        counted = {
            "accepted": created,
            "rejected": sum(one.created for one in admissions) - created,
            "joined": sum(one.joined for one in admissions),
            "duplicate": sum(not one.created and not one.joined for one in admissions),
            "dead-letter": sum(isinstance(entry, DeadLetter) for entry in batch.entries),
            "act": sum(isinstance(entry, (NewAct, Deprovision)) for entry in batch.entries),
        }
        for result, number in counted.items():
            self._metrics.intake.labels(result).inc(number)
        log.info(
            "intake.stored",
            topic=batch.topic,
            partition=batch.partition,
            next=batch.next,
            entries=len(batch.entries),
            created=created,
        )
