"""Steps that prove a backup by restoring it on a scratch server, before anything is destroyed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from daemon.engine.leased_reset import LeasedReset
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.step_runner import AttemptResult
from daemon.ports.backups import Backup, Backups
from daemon.ports.errors import PermanentError
from daemon.ports.restore_proofs import RestoreProofs
from schemas.backups import Proof
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind
from schemas.wire import ResourceKey
from statemachines.steps.launch_rights import dumped


class ProveBackupStep:
    """Restores the database's dump since the last stop, once. A receipt counts for the very dump that it names."""

    def __init__(
        self, backups: Backups, proofs: RestoreProofs, leased: LeasedReset, recorder: AttemptRecorder
    ) -> None:
        self._backups = backups
        self._proofs = proofs
        self._leased = leased
        self._recorder = recorder

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Prove it. An attempt that a crash cut short left at most a scratch database, which the next one drops."""
        attempt = taken_up or await self._recorder.start(step)
        backup = await self._dump_of(step)
        if not await self._backups.holds(backup.path, backup.size_bytes, backup.sha256):
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"{backup.path} is gone, or is not what was dumped")
        if backup.proof is Proof.RESTORED:
            return AttemptResult(attempt, Outcome(kind=OutcomeKind.SUCCEEDED, facts=_facts(backup)))
        receipt = await self._proofs.prove(backup, reset=self._leased.reset.id)
        if receipt.sha256 != backup.sha256 or receipt.proof is not Proof.RESTORED:
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"the receipt is not of {backup.path}")
        proven = replace(
            backup,
            proof=receipt.proof,
            proof_at=receipt.at,
            proof_seconds=receipt.seconds,
            scratch=receipt.server,
        )
        outcome = Outcome(
            kind=OutcomeKind.SUCCEEDED,
            facts=_facts(proven) | {"tables": receipt.tables, "rows": receipt.rows},
        )
        return AttemptResult(attempt, outcome, backups=(proven,))

    async def _dump_of(self, step: PlannedStep) -> Backup:
        """The recorded dump since the last stop."""
        reset, plan, steps = self._leased.reset, self._leased.plan, self._leased.steps
        dumps = dumped(reset, plan, steps)
        for key in step.touches:
            taken = dumps[key].outcome if key in dumps else None
            if taken is not None:
                return await self._recorded(key, taken.facts)
        raise PermanentError(
            Reason.BACKUP_UNPROVEN, f"{step.name} finds no dump of {', '.join(step.touches)}"
        )

    async def _recorded(self, key: ResourceKey, facts: dict[str, Any]) -> Backup:
        for backup in await self._leased.backups():
            if (backup.resource, backup.path, backup.sha256) == (key, facts["path"], facts["sha256"]):
                return backup
        raise PermanentError(Reason.BACKUP_UNPROVEN, f"{facts['path']} is not recorded as a backup")


def _facts(backup: Backup) -> dict[str, Any]:
    """What launch rights look for, and people."""
    return {
        "path": backup.path,
        "sha256": backup.sha256,
        "proof": backup.proof.value,
        "provenAt": backup.proof_at.isoformat() if backup.proof_at else None,
        "seconds": backup.proof_seconds,
        "scratch": backup.scratch,
    }
