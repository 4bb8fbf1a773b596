"""The pruner lets go what the store gives up, in small batches, and touches nothing of a state that was restored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.adapters.system.clock import SystemClock
from daemon.engine.high_water import BehindError, HighWater
from daemon.engine.sweepers.pruner import BATCH, Pruner
from daemon.metrics import Metrics
from daemon.restored_state.lack import find_lack
from schemas.marks import Mark, Position
from schemas.reasons import Reason
from schemas.resets import ResetState
from schemas.retention import Pruned, Retention
from schemas.wire import AttemptId, ResetId, Time
from tests.contract.store.making import NOW, admitted, asked, begun, moved
from tests.memory.logs import MemoryLogs
from tests.memory.marks import MemoryMarks
from tests.memory.store import MemoryStore

OUTPUT = AttemptId("01999999-0000-7000-8000-000000000000/seed.app/1")
LOST = ResetId(OUTPUT.partition("/")[0])


class Stand:
    """A pruner over ports in memory."""

    def __init__(self, retention: Retention | None = None) -> None:
        self.clock = SystemClock()
        self.store = MemoryStore(self.clock)
        self.marks = MemoryMarks()
        self.logs = MemoryLogs()
        self.metrics = Metrics()
        high_water = HighWater(self.store, self.marks, self.clock)
        self.pruner = Pruner(
            self.store, self.logs, self.clock, high_water, self.metrics, retention or Retention()
        )

    async def refused(self, count: int) -> Sequence[ResetId]:
        """Make requests that are refused and told, and one that is under way."""
        made = []
        for number in range(count):
            found = await begun(self.store, f"no{number}-sandbox")
            now = self.clock.now()
            reset = found.reset.model_copy(update={"cause": Reason.UNKNOWN_ENVIRONMENT, "updated_at": now})
            change = moved(replace(found, reset=reset), ResetState.REJECTED, release_lease=True)
            made.append((await self.store.save(change)).id)
        await admitted(self.store, asked())
        rows = await self.store.unpublished(10_000)
        await self.store.published([row.id for row in rows], {}, now=NOW)
        return made

    def metric(self, name: str, table: str) -> float | None:
        families = text_string_to_metric_families(self.metrics.exposition().decode())
        samples = [sample for family in families for sample in family.samples]
        found = (one.value for one in samples if (one.name, one.labels.get("table")) == (name, table))
        return next(found, None)


async def test_it_goes_on_batch_by_batch_and_counts_what_it_removed() -> None:
    stand = Stand(Retention(most_unknown=1))
    made = await stand.refused(BATCH + 10)
    assert await stand.pruner.prune()
    assert len(await stand.store.resets(limit=1000)) == 11
    while await stand.pruner.prune():
        pass
    left = {reset.id for reset in await stand.store.resets()}
    assert len(left) == 2
    assert made[-1] in left
    assert stand.metric("resetd_pruned_rows_total", "resets") == len(made) - 1


async def test_kept_output_goes_with_its_reset() -> None:
    stand = Stand(Retention(most_unknown=1))
    first, last = await stand.refused(2)
    for reset_id in (first, last):
        await stand.logs.keep(AttemptId(f"{reset_id}/seed.app/1"), 0, b"output")
    await stand.pruner.prune()
    assert await stand.logs.size(AttemptId(f"{first}/seed.app/1")) == 0
    assert await stand.logs.size(AttemptId(f"{last}/seed.app/1")) > 0


@pytest.mark.parametrize(("days", "size"), [(0, 6), (29, 6), (31, 0)])
async def test_output_of_no_reset_goes_once_it_is_old(
    monkeypatch: pytest.MonkeyPatch, days: int, size: int
) -> None:
    stand = Stand()
    await stand.logs.keep(OUTPUT, 0, b"output")
    reset = await admitted(stand.store)
    ours = AttemptId(f"{reset.id}/seed.app/1")
    await stand.logs.keep(ours, 0, b"output")
    later = datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr(stand.clock, "now", lambda: later)
    await stand.pruner.forget_output()
    assert (await stand.logs.size(OUTPUT), await stand.logs.size(ours)) == (size, 6)


async def test_a_state_that_was_restored_keeps_all_that_it_has() -> None:
    stand = Stand(Retention(most_unknown=1))
    made = await stand.refused(5)
    beyond = Position(number=1000, digest="beef")
    await stand.marks.put(await stand.store.state_id(), Mark(position=beyond, at=NOW))
    with pytest.raises(BehindError):
        await stand.pruner.prune()
    with pytest.raises(BehindError):
        await stand.pruner.forget_output()
    assert len(await stand.store.resets()) == len(made) + 1


async def test_a_state_that_was_pruned_is_none_that_was_restored() -> None:
    stand = Stand(Retention(most_unknown=1))
    await stand.refused(3)
    position = stand.store._position(2)
    for marked in (stand.store._position(1), position):
        await stand.marks.put(await stand.store.state_id(), Mark(position=marked, at=NOW))
    while await stand.pruner.prune():
        pass
    assert await stand.store.contains(position)
    await stand.pruner.prune()


async def test_old_marks_go_and_a_state_that_was_restored_keeps_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand = Stand()
    await stand.refused(3)
    state = await stand.store.state_id()
    for number in (1, 2, 3):
        await stand.marks.put(state, Mark(position=stand.store._position(number), at=NOW))
    later = NOW + timedelta(days=31)
    monkeypatch.setattr(stand.clock, "now", lambda: later)
    await stand.pruner.forget_marks()
    assert await stand.marks.pruned_until(state) is not None
    assert stand.metric("resetd_pruned_rows_total", "marks") == 1
    assert not (await find_lack(stand.store, stand.marks)).behind
    for _ in range(3):
        await stand.marks.put(state, Mark(position=Position(number=1000, digest="beef"), at=NOW))
    with pytest.raises(BehindError):
        await stand.pruner.forget_marks()


async def test_a_state_from_before_all_kept_marks_says_that_others_are_gone() -> None:
    stand = Stand()
    state = await stand.store.state_id()
    for number in range(1000, 1004):
        await stand.marks.put(state, Mark(position=Position(number=number, digest="beef"), at=NOW))
    assert (await find_lack(stand.store, stand.marks)).forgotten_before is None
    await stand.marks.prune(state, before=NOW + timedelta(days=1))
    lack = await find_lack(stand.store, stand.marks)
    assert lack.behind
    assert lack.forgotten_before == NOW + timedelta(days=1)


class Ends(MemoryStore):
    """The process ends right after a pruning was committed."""

    async def prune(self, retention: Retention, *, now: Time, limit: int) -> Pruned:
        await super().prune(retention, now=now, limit=limit)
        raise KeyboardInterrupt


async def test_a_pruner_that_is_killed_leaves_output_that_the_next_one_removes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand = Stand(Retention(most_unknown=1))
    stand.store.__class__ = Ends
    first, _ = await stand.refused(2)
    await stand.logs.keep(AttemptId(f"{first}/seed.app/1"), 0, b"output")
    with pytest.raises(KeyboardInterrupt):
        await stand.pruner.prune()
    later = datetime.now(UTC) + timedelta(days=31)
    monkeypatch.setattr(stand.clock, "now", lambda: later)
    await stand.pruner.forget_output()
    assert await stand.logs.size(AttemptId(f"{first}/seed.app/1")) == 0


async def test_the_tables_are_measured() -> None:
    stand = Stand()
    await stand.refused(3)
    await stand.pruner._measure_now_and_then()
    assert stand.metric("resetd_table_rows", "resets") == 4
