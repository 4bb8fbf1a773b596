"""Takes records from Kafka into the state database, with their offset and all that follows from them.

1. Records of one poll and partition are stored in one transaction with the offset that comes next.
2. The stored offset is the one that counts. The broker is told offsets for its lag figures.
3. The poll loop never waits for a reset.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby

import structlog

from daemon.intake.entries import IntakeRules, entry_of, mishap
from daemon.metrics import Metrics
from daemon.ports.backoff import Backoff
from daemon.ports.bus import Inbox
from daemon.ports.clock import Clock
from daemon.ports.errors import LeaseLostError, PortError, TemporaryError
from daemon.ports.store.store import Store
from schemas.intake import Admission, Batch, DeadLetter, Deprovision, Entry, NewAct
from schemas.reasons import Reason
from schemas.records import LastRecord, LogPosition, Record
from schemas.resets import ResetState
from schemas.wire import ResetId
from statemachines.intake.record_digest import record_digest

log = structlog.get_logger()

POLL_TIMEOUT = 0.5
"""Seconds that a poll waits for a record."""
LONGEST_PAUSE = 15.0
"""Seconds between two tries while broker or database are away."""


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
        new_id: Callable[[], ResetId],
        limit_waiting: int,
        gate: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._inbox = inbox
        self._store = store
        self._rules = rules
        self._clock = clock
        self._metrics = metrics
        self._new_id = new_id
        self._limit_waiting = limit_waiting
        self._gate = gate
        """Asked before records are stored: a state that was restored must not take handled events for new ones."""
        # The offset that this consumer stored last for each partition. Offsets have gaps (transaction markers,
        # compaction), so the first record's own offset may differ from it.
        self._expected: dict[tuple[str, int], int] = {}

    async def run(self) -> None:
        """Take records in until cancelled."""
        backoff = Backoff(self._clock, shortest=POLL_TIMEOUT, longest=LONGEST_PAUSE)
        try:
            await self._join()
            while True:
                try:
                    records = await self._inbox.poll(timeout=POLL_TIMEOUT)
                    positions = await self._store_records(records)
                    if positions:
                        await self._inbox.acknowledge(positions)
                    backoff.reset()
                except LeaseLostError:
                    log.warning("intake.partition-lost", detail="another consumer stored these records")
                    await self._inbox.rewind()
                except TemporaryError as error:
                    log.warning("intake.paused", detail=error.detail, seconds=backoff.pause)
                    await self._inbox.rewind()
                    await backoff.wait()
        finally:
            await self._inbox.stop()

    async def _join(self) -> None:
        backoff = Backoff(self._clock, shortest=POLL_TIMEOUT, longest=LONGEST_PAUSE)
        while True:
            try:
                await self._inbox.start(self._positions)
            except TemporaryError as error:
                log.warning("intake.no-broker", detail=error.detail, seconds=backoff.pause)
                await backoff.wait()
            else:
                return

    async def _positions(
        self, partitions: Sequence[tuple[str, int]]
    ) -> Mapping[tuple[str, int], LogPosition]:
        stored = await self._store.positions(partitions)
        for partition in partitions:
            self._expected.pop(partition, None)
        self._expected.update({partition: position.next for partition, position in stored.items()})
        return stored

    async def _store_records(self, records: Sequence[Record]) -> dict[tuple[str, int], int]:
        if records and self._gate is not None:
            await self._gate()

        def partition(record: Record) -> tuple[str, int]:
            return record.topic, record.partition

        positions: dict[tuple[str, int], int] = {}
        for here, group in groupby(sorted(records, key=partition), key=partition):
            members = list(group)
            await self._store_each(members)
            positions[here] = members[-1].offset + 1
        return positions

    async def _store_each(self, records: Sequence[Record]) -> None:
        """Store records of one partition. A record that can't be stored becomes a dead letter; the others are stored.

        Raises:
            LeaseLostError: another consumer stored them.
            TemporaryError: the database does not answer, or refuses even the dead letter.
        """
        now = self._clock.now()
        entries = [entry_of(record, self._rules, now=now, new_id=self._new_id()) for record in records]
        try:
            await self._store_batch(records, entries)
        except (PortError, LeaseLostError):
            raise  # the database failed, and no record did
        except Exception as error:  # noqa: BLE001 - the record at fault is found here, one by one
            if len(records) > 1:
                for record in records:
                    await self._store_each([record])
                return
            [record] = records
            log.error(  # noqa: TRY400 - the error's text and its frames may hold what was sent
                "intake.record-refused",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                error=type(error).__name__,
            )
            try:
                await self._store_batch(records, [mishap(record, self._rules, error)])
            except (PortError, LeaseLostError):
                raise
            except Exception as again:
                # The record is read again later; everything else that the daemon does goes on.
                detail = (
                    f"{record.topic}/{record.partition}@{record.offset} can't be stored, nor as a dead letter"
                )
                raise TemporaryError(Reason.INTERNAL, detail) from again

    async def _store_batch(self, records: Sequence[Record], entries: Sequence[Entry | None]) -> None:
        here = (records[0].topic, records[0].partition)
        batch = Batch(
            *here,
            first=records[0].offset,
            expected=self._expected.get(here),
            next=records[-1].offset + 1,
            last=LastRecord(records[-1].offset, record_digest(records[-1])),
            entries=tuple(entry for entry in entries if entry is not None),
        )
        admissions = await self._store.take_in(
            batch, now=self._clock.now(), limit_waiting=self._limit_waiting
        )
        self._expected[here] = batch.next
        self._count(batch, admissions)

    def _count(self, batch: Batch, admissions: Sequence[Admission]) -> None:
        created = sum(each.created and each.reset.state is not ResetState.REJECTED for each in admissions)
        counted = {
            "accepted": created,
            "rejected": sum(each.created for each in admissions) - created,
            "joined": sum(each.joined for each in admissions),
            "duplicate": sum(not each.created and not each.joined for each in admissions),
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
