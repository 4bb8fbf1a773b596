"""Steps that back a database up."""

from __future__ import annotations

from dataclasses import replace

from daemon.engine.facts.reader import FactsReader
from daemon.engine.leased_reset import LeasedReset
from daemon.engine.pod_choice import PodChoice
from daemon.engine.steps.attempt_recorder import AttemptRecorder
from daemon.engine.steps.step_runner import AttemptResult
from daemon.engine.steps.witnesses import Witnesses
from daemon.ports import Ports
from daemon.ports.errors import PermanentError, TemporaryError
from schemas.plan import PlannedStep
from schemas.reasons import Reason
from schemas.resets import Attempt, Outcome, OutcomeKind
from statemachines.steps.launch_rights import TAKEN_AFTER


class BackupStep:
    """Dumps the database that the service's pod reaches; the backup counts once it was read through."""

    def __init__(
        self,
        ports: Ports,
        facts: FactsReader,
        witnesses: Witnesses,
        pod_choice: PodChoice,
        leased: LeasedReset,
        recorder: AttemptRecorder,
    ) -> None:
        self._leased = leased
        self._backups = ports.backups
        self._databases = ports.databases
        self._witnesses = witnesses
        self._facts = facts
        self._pod_choice = pod_choice
        self._recorder = recorder

    async def run(self, step: PlannedStep, taken_up: Attempt | None) -> AttemptResult:
        """Dump. An attempt that a crash cut short dumps again: a dump replaces none that is stored."""
        if step.database is None:
            raise PermanentError(Reason.DATABASE_UNIDENTIFIED, f"{step.name} names no database")
        service = self._pod_choice.service(step)
        pod = await self._pod_choice.choose(step)
        url, identity = await self._facts.identify(pod, service, step.database)
        if identity.key not in step.touches:
            raise PermanentError(
                Reason.DATABASE_MISMATCH,
                f"{step.name} would reach {identity.key}, the plan says {', '.join(step.touches)}",
            )
        witness = await self._witnesses.of(identity.key, url)
        attempt = taken_up or await self._recorder.start(step)
        first = not (self._leased.reset.destroyed and await self._leased.dumped_before(identity.key))
        stops = self._leased.reset.stops
        dumped = await self._backups.dump(
            url,
            environment=pod.environment,
            resource=identity.key,
            attempt=attempt.id,
            witness=witness,
        )
        backup = replace(dumped, stops=stops, first=first)
        if not backup.proven:
            raise PermanentError(Reason.BACKUP_UNPROVEN, f"{backup.path} was not read through")
        if not (
            await witness.is_alive()
            and await self._databases.leads_to(witness, url, environment=pod.environment)
        ):
            raise TemporaryError(
                Reason.DATABASE_UNREACHABLE,
                f"the server of {identity.key} was started again or replaced while it was dumped",
            )
        facts = {
            "path": backup.path,
            "sizeBytes": backup.size_bytes,
            "sha256": backup.sha256,
            "incarnation": witness.incarnation,
            TAKEN_AFTER: stops,
            "first": first,
        }
        outcome = Outcome(kind=OutcomeKind.SUCCEEDED, facts=facts)
        return AttemptResult(attempt, outcome, backups=(backup,))
