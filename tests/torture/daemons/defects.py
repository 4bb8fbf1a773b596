"""The daemon broken on purpose, one promise at a time: a torture that does not notice is worth nothing.

Applied in a forked daemon before it starts (`TORTURE_DEFECT`), and nowhere else. Each takes away one thing that
docs/architecture.md names as the place where an invariant is enforced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from daemon.adapters.kubernetes.commands import KubernetesCommands
from daemon.adapters.store import auditing, store
from daemon.adapters.store.connections.pipeline import Row
from daemon.adapters.store.connections.transactions import Tx
from daemon.adapters.store.leases import saving
from daemon.adapters.store.rows import holder_columns
from daemon.adapters.store.tables import RESETS
from daemon.engine.commands.follow import CommandFollower, _command, _Progress
from daemon.engine.commands.launch_guard import LaunchGuard
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.commands import Observation, Tombstone
from daemon.ports.store.leases import Change
from schemas.audit import AuditAction, AuditEntry
from schemas.plan import PlannedStep
from schemas.protection import KeptWord
from schemas.resets import Control, Outcome, OutcomeKind, Reset, ResetState
from schemas.wire import AttemptId, Time
from tests.torture.daemons.protection_defects import PROTECTION_DEFECTS

VARIABLE = "TORTURE_DEFECT"


def drop_compare_and_set() -> None:
    """The last writer wins: neither version nor fence is looked at."""
    compare_and_set = saving._lock_compare_and_set

    async def written(tx: Tx, changes: Sequence[Change]) -> tuple[dict[str, Row], set[str]]:
        rows, won = await compare_and_set(tx, changes)
        for change in changes:
            if change.reset.id in won:
                continue
            values = holder_columns(change.reset) | {"version": change.reset.version + 1}
            if change.release_lease:
                values |= {"lease_owner": None, "lease_until": None}
            setting = RESETS.update().where(RESETS.c.id == change.reset.id)
            await tx.connection.execute(setting.values(values))
        return rows, {change.reset.id for change in changes}

    saving._lock_compare_and_set = written


def launch_before_recording() -> None:
    """The command is launched, and only then its attempt is made durable."""

    async def start(
        self: CommandFollower, pod: Pod, attempt: AttemptId, step: PlannedStep, guard: LaunchGuard
    ) -> Outcome:
        control = await self._pods.prepare(pod, attempt)
        await self._pods.launch(control, attempt, step.argv)
        recorded = await guard.record(control)
        return await self._pursue(_command(recorded, control, step, guard), _Progress())

    CommandFollower.start = start  # type: ignore[method-assign]


def missing_status_is_success() -> None:
    """A stream that ended without saying how its command ended means that it ended well."""
    watch = CommandFollower._watch

    async def watched(self: CommandFollower, *arguments: Any) -> Outcome | Observation | None:  # noqa: ANN401 - passed on
        seen = await watch(self, *arguments)
        if seen is None or (isinstance(seen, Observation) and seen.started):
            return Outcome(kind=OutcomeKind.SUCCEEDED, exit_code=0)
        return seen

    CommandFollower._watch = watched  # type: ignore[method-assign,assignment]


def skip_tombstone() -> None:
    """A command that has not started yet is believed never to start, without any tombstone."""

    async def give_up(self: KubernetesCommands, control: Control) -> Tombstone:
        async for seen in self.follow(control, offset=0):
            return Tombstone.TOO_LATE if seen.started else Tombstone.PLACED
        return Tombstone.PLACED

    KubernetesCommands.give_up = give_up  # type: ignore[method-assign]


def release_locks_early() -> None:
    """The resources are let go when the seeds begin."""
    save = store.SqlStore.save

    async def saved(self: store.SqlStore, change: Change) -> Reset:
        early = change.reset.state is ResetState.SEEDING
        return await save(self, replace(change, release_locks=True) if early else change)

    store.SqlStore.save = saved  # type: ignore[method-assign]


def words_for_ever() -> None:
    """A word counts although it expired or was taken back."""
    words = store.SqlStore.words

    async def all_words(self: store.SqlStore, *, now: Time, ended: bool = False) -> tuple[KeptWord, ...]:  # noqa: ARG001 - as the store has it
        return await words(self, now=now, ended=True)

    store.SqlStore.words = all_words  # type: ignore[method-assign]


def forgetful_audit() -> None:
    """The audit leaves out who agreed to what, and who gave which word."""
    append = auditing.append
    left_out = {AuditAction.APPROVE, AuditAction.CONFIRM, AuditAction.FORGET, AuditAction.WITHDRAW}

    async def appended(tx: Tx, entries: Sequence[AuditEntry]) -> None:
        await append(tx, [entry for entry in entries if entry.action not in left_out])

    auditing.append = appended


DEFECTS: Mapping[str, Callable[[], None]] = {
    "drop-compare-and-set": drop_compare_and_set,
    "launch-before-recording": launch_before_recording,
    "missing-status-is-success": missing_status_is_success,
    "skip-tombstone": skip_tombstone,
    "release-locks-early": release_locks_early,
    "words-for-ever": words_for_ever,
    "forgetful-audit": forgetful_audit,
    **PROTECTION_DEFECTS,
}


def apply(name: str | None) -> None:
    """Break this process's daemon in this way; None: leave it whole. KeyError where there is no such defect."""
    if name:
        DEFECTS[name]()
