"""How the databases of a plan are backed up and proven: by the catalog's word, and by what is protected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from schemas.backups import Proof
from schemas.catalog.catalog import Catalog
from schemas.facts import DatabaseFact, Facts
from schemas.plan import Phase, PlannedStep, StepKind
from schemas.reasons import Reason
from schemas.wire import ResourceKey, StepName
from statemachines.planning.case import Case
from statemachines.planning.commands import written
from statemachines.planning.protection import protection_of
from statemachines.refusals import Refused

PROVE = "prove"
"""What the name of a step begins with that restores a backup."""
PROOF_TIMEOUT = 6 * 3600.0
"""Seconds."""


def proof_of(key: ResourceKey, facts: Facts, catalog: Catalog) -> Proof:
    """Say how a backup of this database is proven: as the catalog says, else by a restore where it is protected."""
    if catalog.proof is not None:
        return catalog.proof
    return Proof.RESTORED if protection_of(key, facts, catalog).because else Proof.READ


def backups_can_be_taken_and_proven(case: Case) -> Iterator[Refused]:
    """Every database must have a pg_dump that is new enough, and a scratch server where its backup is restored."""
    known = {fact.key: fact for fact in case.facts.backups}
    for fact in _backed_up(case):
        restores = proof_of(fact.key, case.facts, case.catalog) is Proof.RESTORED
        backup = known.get(fact.key)
        if backup is None:
            if restores:
                detail = f"{fact.name}: nobody looked for a scratch server"
                yield Refused(Reason.NO_SCRATCH_SERVER, detail, by_rule=False)
            continue
        for obstacle in backup.obstacles:
            if restores or not obstacle.of_restore:
                detail = f"{fact.name}: {obstacle.detail}"
                yield Refused(obstacle.reason, detail, temporary=obstacle.temporary, by_rule=False)


def prove_steps(backups: Iterable[PlannedStep]) -> list[PlannedStep]:
    """Make a step for each backup that is restored to prove it."""
    return [
        PlannedStep(
            name=StepName(f"{PROVE}.{backup.name.partition('.')[2]}"),
            phase=Phase.BACKUP,
            kind=StepKind.PROVE_BACKUP,
            batch=0,
            database=backup.database,
            touches=backup.touches,
            timeout=PROOF_TIMEOUT,
        )
        for backup in backups
        if backup.proof is Proof.RESTORED
    ]


def restored_where(case: Case) -> Iterator[str]:
    """Tell where copies of the data lie for a while."""
    known = {fact.key: fact for fact in case.facts.backups}
    for fact in _backed_up(case):
        backup = known.get(fact.key)
        if proof_of(fact.key, case.facts, case.catalog) is Proof.RESTORED and backup and backup.scratch:
            yield f"{fact.name} is restored on the scratch server {backup.scratch} to prove its backup, and dropped."


def _backed_up(case: Case) -> Iterator[DatabaseFact]:
    seen: set[ResourceKey] = set()
    for service, database in written(case.commands):
        fact = case.database(service, database)
        if fact is not None and fact.key not in seen:
            seen.add(fact.key)
            yield fact
