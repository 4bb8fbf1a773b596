"""Whatever is pruned whenever: what is kept reads as before, and nothing that was done is taken for new."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.adapters.store import SqlStore, open_store
from daemon.adapters.system.clock import SystemClock
from daemon.ports.backups import Backup
from daemon.ports.store.store import Store
from schemas.intake import NewRequest
from schemas.marks import Position
from schemas.reasons import Reason
from schemas.resets import ActKind, Reset, ResetState
from schemas.retention import Retention
from schemas.wire import ResetId, ResourceKey
from statemachines.acts import check_act
from statemachines.lifecycle import AT_REST, failed_at_planning
from statemachines.retention import ANSWERED
from tests.contract.store.conftest import TOPICS
from tests.contract.store.making import NOW, act, asked, attempt, claimed, moved, planned
from tests.memory.store import MemoryStore

Opening = Callable[[], AbstractAsyncContextManager[Store]]
MAX_AGE = timedelta(days=1)
NONE = "none-sandbox"
ENVIRONMENTS = ("a-sandbox", "b-sandbox", NONE)
STATES = (
    ResetState.DONE,
    ResetState.PLANNED,
    ResetState.REJECTED,
    ResetState.DENIED,
    ResetState.FAILED,
    ResetState.CANCELLED,
    ResetState.NEEDS_OPERATOR,
    ResetState.PLANNING,
)
RETENTION = Retention(
    resets=timedelta(days=10),
    records=timedelta(days=2),
    answers=timedelta(days=2),
    most_unknown=1,
    most_answers=2,
    most_names=1,
)


@dataclass
class Story:
    """What was done with a store so far."""

    store: Store
    now: datetime = NOW
    events: list[NewRequest] = field(default_factory=list)
    """Events that led to a reset, but for those that are refused again whenever they come."""
    positions: list[Position] = field(default_factory=list)
    asked: int = 0

    async def ask(
        self,
        environment: str,
        state: ResetState,
        hours: int,
        *,
        backup: bool = False,
        lock: bool = False,
        key: bool = False,
        destroyed: bool = False,
    ) -> None:
        """Make a reset of an event from some hours before or after now, and lead it to a state."""
        self.asked += 1
        fields: dict[str, Any] = {"reason": f"number {self.asked}"}
        if key:
            fields["idempotency_key"] = f"number {self.asked}"
        new = replace(asked(environment, **fields), at=self.now + timedelta(hours=hours))
        admission = await self.store.admit(new, now=self.now, limit_waiting=1000)
        if admission.reset.state is ResetState.REJECTED:
            return
        if (state, environment) != (ResetState.REJECTED, NONE):
            self.events.append(new)
        if state is not ResetState.PLANNING:
            await self._lead(new.id, state, backup=backup, lock=lock, destroyed=destroyed)
        self.positions.append(await self.store.position())

    async def _lead(
        self, reset_id: ResetId, state: ResetState, *, backup: bool, lock: bool, destroyed: bool
    ) -> None:
        found = await claimed(self.store, reset_id)
        more: dict[str, Any] = {"updated_at": self.now}
        parts: dict[str, Any] = {"release_lease": True, "release_locks": True}
        if state is ResetState.REJECTED:
            is_none = found.reset.environment == NONE
            more["cause"] = Reason.UNKNOWN_ENVIRONMENT if is_none else Reason.SHARING_UNKNOWN
        else:
            parts["plan"] = planned("seed.app", environment=found.reset.environment)
            parts["attempts"] = (attempt(reset_id, "seed.app"),)
            more["plan_hash"] = parts["plan"].hash
        if state not in ANSWERED:
            more["destroyed"] = destroyed
        if state is ResetState.FAILED:
            more["stopped_in"] = ResetState.SEEDING if lock else ResetState.PLANNING
        if state not in ANSWERED and backup:
            dump = Backup(ResourceKey("db"), f"/{reset_id}", 1, "0", self.now, proven=True)
            parts["backups"] = (dump,)
        if state not in ANSWERED and lock:
            await self.store.lock(found.lease, [ResourceKey("db")])
        changed = replace(found, reset=found.reset.model_copy(update=more))
        await self.store.save(moved(changed, state, **parts))

    async def publish(self) -> None:
        """Publish all that waits."""
        rows = await self.store.unpublished(10_000)
        await self.store.published([row.id for row in rows], {}, now=self.now)

    async def read(self, reset: Reset) -> tuple[object, ...]:
        """Read all that anybody can read of a reset."""
        store = self.store
        return (
            await store.find(reset.id),
            await store.find(f"{reset.environment}/{reset.number}"),
            await store.plan(reset.id),
            await store.steps(reset.id),
            await store.attempts(reset.id),
            await store.history(reset.id),
            [line for line in await store.audit(limit=10_000) if line.chain == reset.id],
            await store.backups(reset_id=reset.id),
            await store.superseded_by(reset.id),
            await store.unread_acts(reset.id, 0),
        )

    async def prune(self, limit: int) -> None:
        """Prune once, and compare what is kept with what there was."""
        before = await self.store.resets(limit=10_000)
        read = {reset.id: await self.read(reset) for reset in before}
        waiting = await self.store.unpublished(10_000)
        pruned = await self.store.prune(RETENTION, now=self.now, limit=limit)
        after = await self.store.resets(limit=10_000)
        assert {reset.id for reset in before} - {reset.id for reset in after} == set(pruned.resets)
        assert {reset.id: await self.read(reset) for reset in after} == {
            reset.id: read[reset.id] for reset in after
        }
        gone = [reset for reset in before if reset.id in pruned.resets]
        assert not [reset for reset in gone if could_go_on(reset, superseded_by=read[reset.id][8])]
        for reset in gone:
            assert await self.store.backups(reset_id=reset.id) == ()
            worked = [other for other in before if other.environment == reset.environment]
            worked = [other for other in worked if other.state not in ANSWERED]
            if reset.state not in ANSWERED:
                assert reset.number < max(other.number for other in worked)
        assert await self.store.unpublished(10_000) == waiting
        assert all([await self.store.contains(position) for position in self.positions])
        if isinstance(self.store, SqlStore):
            assert await self.store.broken_chains() == ()

    async def repeat(self) -> None:
        """Deliver each event again that was taken in and may still be young enough: none leads to a second reset."""
        for new in self.events:
            assert new.at is not None
            again = replace(new, id=ResetId(f"{new.id}-again"))
            if self.now - new.at > MAX_AGE:
                continue  # the intake refuses it as too old, and asks no store
            try:
                admission = await self.store.admit(again, now=self.now, limit_waiting=1000)
            except ValueError:
                continue  # handled by a reset that is gone
            assert not admission.created


def could_go_on(reset: Reset, *, superseded_by: Any) -> bool:  # noqa: ANN401 - as it was read
    """Whether a reset goes on by itself, or has work that a person may still lead on or back."""
    if failed_at_planning(reset):
        return False
    back = act(reset.id, ActKind.ROLLBACK).model_copy(update={"reason": "it was better before"})
    on = act(reset.id, ActKind.RESUME).model_copy(update={"replan": True, "force": True})
    plan = planned("seed.app", environment=reset.environment)
    return reset.state not in AT_REST or any(
        check_act(each, reset, plan, (), superseded_by=superseded_by) is None for each in (on, back)
    )


ASK = st.tuples(
    st.just("ask"),
    st.sampled_from(ENVIRONMENTS),
    st.sampled_from(STATES),
    st.integers(-24, 24),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
STEP = st.one_of(
    ASK,
    ASK,
    ASK,
    st.tuples(st.just("wait"), st.sampled_from([1, 12, 30, 72, 24 * 11])),
    st.just(("publish",)),
    st.tuples(st.just("prune"), st.integers(1, 4)),
    st.just(("repeat",)),
)


END: tuple[tuple[Any, ...], ...] = (
    ("publish",),
    ("prune", 3),
    ("repeat",),
    *(
        ("ask", "b-sandbox", state, 0, False, lock, False, True)
        for state in STATES
        if state is not ResetState.PLANNING
        for lock in (False, True)
    ),
    ("wait", 24 * 11),
    ("ask", "b-sandbox", ResetState.DONE, 0, False, False, False, False),
    ("publish",),
    ("prune", 100),
    ("prune", 100),
    ("repeat",),
)
"""How each story ends: with a reset in each state, and so late that all that may go is old."""


async def play(opening: Opening, steps: list[tuple[Any, ...]]) -> None:
    async with opening() as store:
        story = Story(store)
        for step in [*steps, *END]:
            match step:
                case ("ask", environment, state, hours, backup, lock, key, destroyed):
                    more = {"backup": backup, "lock": lock, "key": key, "destroyed": destroyed}
                    await story.ask(environment, state, hours, **more)
                case ("wait", hours):
                    story.now += timedelta(hours=hours)
                case ("publish",):
                    await story.publish()
                case ("prune", limit):
                    await story.prune(limit)
                case ("repeat",):
                    await story.repeat()


@pytest.fixture(scope="session")
def sqlite_opening(template_file: Path) -> Opening:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Store]:
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(template_file, Path(directory) / "state.db")
            async with open_store(f"sqlite:///{directory}/state.db", TOPICS) as store:
                yield store

    return opening


@asynccontextmanager
async def in_memory() -> AsyncIterator[Store]:
    yield MemoryStore(SystemClock(), TOPICS)


_SETTINGS = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@settings(_SETTINGS, max_examples=50)
@given(steps=st.lists(STEP, min_size=3, max_size=25))
async def test_what_is_kept_reads_as_before_in_memory(steps: list[tuple[Any, ...]]) -> None:
    await play(in_memory, steps)


@settings(_SETTINGS, max_examples=10)
@given(steps=st.lists(STEP, min_size=5, max_size=25))
async def test_what_is_kept_reads_as_before_in_a_database(
    sqlite_opening: Opening, steps: list[tuple[Any, ...]]
) -> None:
    await play(sqlite_opening, steps)
