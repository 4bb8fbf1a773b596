"""Deletes backup branches that nobody needs any more: `statemachines.branch_retention` says which.

Each deletion compares: the branch is at the very commit at which its reset made it, or it stays. So it may end at any
instant, and several daemons may do it at once. Branches of resets that this state does not know stay: they are of
another daemon, or of a state that was lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from daemon.engine.high_water import HighWater
from daemon.engine.sweepers.repeating import repeat
from daemon.metrics import Metrics
from daemon.ports.clock import Clock
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.repositories import BackupBranch, Repositories
from daemon.ports.store.store import Store
from schemas.catalog.catalog import Catalog
from schemas.reasons import Reason
from schemas.resets import Reset
from schemas.wire import ResetId
from statemachines.branch_retention import KeptBranch, branches_to_delete, made_by
from statemachines.retention import SUPERSEDABLE, is_over

log = structlog.get_logger()

FIRST_SWEEP = 3600.0
"""Seconds until the first sweep."""
SWEEP_INTERVAL = 6 * 3600.0
"""Seconds between two sweeps. Each asks the hub a few times for each repository, and the hub counts that."""
_PAGE = 500
_NONE_MADE = frozenset({Reason.REPOSITORY_EMPTY, Reason.REPOSITORY_UNIDENTIFIED})
"""Why a repository has no backup branch to look at: it is none, or is gone."""


@dataclass(frozen=True)
class _Found:
    branch: BackupBranch
    kept: KeptBranch


class BackupBranchSweeper:
    """One loop of each daemon; several at once are harmless."""

    def __init__(
        self,
        repositories: Repositories,
        store: Store,
        clock: Clock,
        high_water: HighWater,
        metrics: Metrics,
        catalog: Catalog,
        keep: timedelta = timedelta(days=30),
    ) -> None:
        """`keep`: how long a branch stays at least after its reset ended."""
        self._repositories = repositories
        self._store = store
        self._clock = clock
        self._high_water = high_water
        self._metrics = metrics
        self._catalog = catalog
        self._keep = keep
        self._told: dict[str, tuple[Reason, str]] = {}
        """Repository -> why its branches are kept, as it was told last."""

    async def run(self) -> None:
        """Sweep until cancelled."""
        await self._clock.sleep(FIRST_SWEEP)
        await repeat(self.sweep, self._clock, every=SWEEP_INTERVAL, failed=_failed)

    async def sweep(self) -> None:
        """Delete what may go in each repository that a reset of this state could have rewound.

        What is refused in one repository is told once, and nothing more is deleted there. Where the hub does not
        answer, or asks to wait, the sweep ends until the next one.

        Raises:
            PortError: the state database could not be asked. Or the state is older than what it launched.
        """
        await self._high_water.check()
        before = self._clock.now() - self._keep
        for name in await self._names(before):
            try:
                await self._sweep_one(name, before)
            except PermanentError as error:
                self._tell(name, error)
            except TemporaryError as error:
                if error.reason is not Reason.REPOSITORY_UNREACHABLE:
                    raise
                self._tell(name, error)
                return
            else:
                self._told.pop(name, None)

    async def _sweep_one(self, name: str, before: datetime) -> None:
        found = [each async for each in self._known(name)]
        by_reset: Mapping[ResetId, BackupBranch] = {each.kept.reset_id: each.branch for each in found}
        for kept in branches_to_delete((each.kept for each in found), before=before):
            if await self._repositories.delete_backup(by_reset[kept.reset_id]):
                self._metrics.pruned.labels("backup-branches").inc()
                log.info("pruner.branch-deleted", repository=name, reset=kept.reset_id, commit=kept.commit)

    async def _known(self, name: str) -> AsyncIterator[_Found]:
        """The backup branches of resets that this state knows."""
        for branch in await self._repositories.backup_branches(name):
            reset_id = made_by(branch.name)
            reset = await self._store.find(reset_id) if reset_id is not None else None
            if reset is None:
                continue
            kept = KeptBranch(
                reset_id=reset.id,
                rewound=self._rewound(name, reset),
                made_at=await self._made_at(name, branch, reset),
                commit=branch.commit,
                over=await self._is_over(reset),
                dumped=bool(await self._store.backups(reset_id=reset.id)),
                ended_at=reset.updated_at,
            )
            yield _Found(branch, kept)

    async def _is_over(self, reset: Reset) -> bool:
        if is_over(reset):
            return True
        return reset.state in SUPERSEDABLE and await self._store.superseded_by(reset.id) is not None

    async def _made_at(self, name: str, branch: BackupBranch, reset: Reset) -> str | None:
        """The commit at which the reset made the branch, as its attempts say."""
        for attempt in await self._store.attempts(reset.id):
            facts = attempt.outcome.facts if attempt.outcome else {}
            if attempt.step == f"git.{name}" and facts.get("backupBranch") == branch.name:
                return str(facts["before"])
        return None

    def _rewound(self, name: str, reset: Reset) -> str | None:
        declared = (each for each in self._catalog.repositories if each.name_for(reset.environment) == name)
        return next((each.branch_for(reset.environment) for each in declared), None)

    async def _names(self, before: datetime) -> list[str]:
        """The repositories that resets of this state may have left a branch in which is old and without a dump."""
        dumped = {row["reset_id"] for row in await self._store.backups()}
        names, place = dict[str, None](), None
        while page := await self._store.resets(limit=_PAGE, before=place):
            for reset in page:
                if reset.updated_at < before and reset.id not in dumped:
                    names |= {each.name_for(reset.environment): None for each in self._catalog.repositories}
            place = (page[-1].created_at.isoformat(), page[-1].id)
        return list(names)

    def _tell(self, name: str, error: PortError) -> None:
        why = (error.reason, error.detail)
        if error.reason in _NONE_MADE or self._told.get(name) == why:
            return
        self._told[name] = why
        log.warning(
            "pruner.branches-kept",
            repository=name,
            reason=error.reason.value,
            detail=error.detail,
            hint=error.hint,
        )


def _failed(error: PortError, seconds: float) -> None:
    log.warning("pruner.failed", reason=error.reason.value, detail=error.detail, seconds=seconds)
