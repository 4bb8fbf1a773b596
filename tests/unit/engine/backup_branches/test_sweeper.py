"""Backup branches go with the way back that they belong to: never the newest, never one that anybody may need."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from daemon.adapters.system.clock import SystemClock
from daemon.config.catalog_file import load_catalog
from daemon.engine.high_water import BehindError, HighWater
from daemon.engine.sweepers.backup_branches import BackupBranchSweeper
from daemon.metrics import Metrics
from daemon.ports.backups import Backup
from schemas.marks import Mark, Position
from schemas.repositories import PullRequest
from schemas.resets import Outcome, OutcomeKind, ResetState
from schemas.wire import ResetId, ResourceKey
from tests.contract.store.making import NOW, attempt, begun, moved
from tests.memory.marks import MemoryMarks
from tests.memory.repositories import MemoryRepositories
from tests.memory.store import MemoryStore

NAME = "qa-workflows"
STEP = f"git.{NAME}"


class Later(SystemClock):
    days = 31

    def now(self) -> datetime:
        return NOW + timedelta(days=self.days)


class Stand:
    """A sweeper over ports in memory, and a repository that resets rewound long ago."""

    def __init__(self, *, days: int = 31) -> None:
        """The sweeper's clock shows so many days after all resets ended."""
        self.clock = SystemClock()
        later = Later()
        later.days = days
        self.store = MemoryStore(self.clock)
        self.marks = MemoryMarks()
        self.repositories = MemoryRepositories()
        self.repository = self.repositories.make(NAME)
        self.repository.push("main")
        self.sweeper = BackupBranchSweeper(
            self.repositories,
            self.store,
            later,
            HighWater(self.store, self.marks, self.clock),
            Metrics(),
            load_catalog().catalog,
        )

    async def rewound(
        self,
        state: ResetState = ResetState.DONE,
        *,
        told: bool = True,
        dumped: bool = False,
        environment: str = "qa-sandbox",
    ) -> str:
        """Have a reset rewind the branch, and return its backup branch."""
        found = await begun(self.store, environment, reason=f"number {len(self.repository.parents)}")
        name = f"backup/{found.reset.id}"
        head = self.repository.push("main")
        self.repository.refs[name] = head
        facts = {"before": head, "backupBranch": name} if told else {}
        outcome = Outcome(kind=OutcomeKind.SUCCEEDED, facts=facts)
        made = attempt(found.reset.id, STEP).model_copy(update={"outcome": outcome})
        change = moved(
            found,
            state,
            attempts=(made,),
            backups=(_dump(found.reset.id),) if dumped else (),
            release_lease=True,
        )
        await self.store.save(change)
        # A state with a backup has a mark.
        await self.marks.put(
            await self.store.state_id(), Mark(position=Position(number=0, digest=""), at=NOW)
        )
        return name

    @property
    def left(self) -> set[str]:
        return {name for name in self.repository.refs if name.startswith("backup/")}


def _dump(reset_id: ResetId) -> Backup:
    return Backup(
        resource=ResourceKey("database/7001/app"),
        path=f"{reset_id}.dump",
        size_bytes=1,
        sha256="0" * 64,
        taken_at=NOW,
        proven=True,
    )


async def test_an_old_branch_of_a_reset_that_is_over_goes_and_the_newest_stays() -> None:
    stand = Stand()
    await stand.rewound()
    newest = await stand.rewound()
    await stand.sweeper.sweep()
    assert stand.left == {newest}
    assert {"main", newest} == set(stand.repository.refs)


@pytest.mark.parametrize(
    "kept",
    [
        {"dumped": True},
        {"told": False},
        {"state": ResetState.FAILED},
        {"state": ResetState.NEEDS_OPERATOR},
        {"state": ResetState.VERIFYING},
    ],
    ids=["its dump is kept", "nobody wrote it down", "failed", "an operator", "under way"],
)
async def test_a_branch_that_may_be_needed_stays(kept: dict[str, object]) -> None:
    stand = Stand()
    first = await stand.rewound(**kept)  # type: ignore[arg-type]
    await stand.rewound()
    await stand.sweeper.sweep()
    assert first in stand.left


async def test_a_branch_of_a_reset_that_ended_a_while_ago_stays() -> None:
    stand = Stand(days=29)
    before = {await stand.rewound() for _ in range(2)}
    await stand.sweeper.sweep()
    assert stand.left == before


async def test_a_branch_that_somebody_moved_or_uses_or_made_stays() -> None:
    stand = Stand()
    moved_on, used = await stand.rewound(), await stand.rewound()
    stand.repository.push(moved_on)
    stand.repository.pull_requests = (PullRequest(number=1, title="Back", head=used, base="main"),)
    others = {"backup/by-hand", "backup/01999999-0000-7000-8000-000000000000"}
    stand.repository.refs |= dict.fromkeys(others, stand.repository.refs["main"])
    await stand.rewound()
    await stand.sweeper.sweep()
    assert {moved_on, used, *others} < stand.left


async def test_the_newest_stays_also_where_another_daemon_made_a_newer_one() -> None:
    stand = Stand()
    only = await stand.rewound()
    stand.repository.refs["backup/ffffffff-0000-7000-8000-000000000000"] = stand.repository.refs["main"]
    await stand.sweeper.sweep()
    assert only in stand.left


async def test_a_missing_right_is_told_once_and_deletes_nothing() -> None:
    stand = Stand()
    before = {await stand.rewound() for _ in range(3)}
    stand.repository.forbidden = True
    with capture_logs() as logs:
        await stand.sweeper.sweep()
        await stand.sweeper.sweep()
    told = [line for line in logs if line["event"] == "pruner.branches-kept"]
    assert [line["reason"] for line in told] == ["repository-forbidden"]
    assert stand.left == before
    stand.repository.forbidden = False
    await stand.sweeper.sweep()
    assert len(stand.left) == 1


async def test_a_repository_that_is_gone_keeps_nobody_from_the_others() -> None:
    stand = Stand()
    await begun(stand.store, "acme-sandbox")
    await stand.rewound()
    await stand.rewound()
    await stand.sweeper.sweep()
    assert len(stand.left) == 1


async def test_an_outage_ends_the_sweep_and_the_next_one_goes_on() -> None:
    stand = Stand()
    for _ in range(3):
        await stand.rewound()
    stand.repositories.down = True
    await stand.sweeper.sweep()
    assert len(stand.left) == 3
    stand.repositories.down = False
    await stand.sweeper.sweep()
    assert len(stand.left) == 1


async def test_a_repository_without_anything_old_is_not_asked_for() -> None:
    stand = Stand()
    for _ in range(2):
        await stand.rewound(dumped=True)
    stand.repositories.down = True
    with capture_logs() as logs:
        await stand.sweeper.sweep()
    assert logs == []


async def test_a_state_that_was_restored_deletes_no_branch() -> None:
    stand = Stand()
    before = {await stand.rewound() for _ in range(2)}
    beyond = Mark(position=Position(number=1000, digest="beef"), at=NOW)
    await stand.marks.put(await stand.store.state_id(), beyond)
    with pytest.raises(BehindError):
        await stand.sweeper.sweep()
    assert stand.left == before
