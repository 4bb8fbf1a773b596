"""The planner: makes an ordered, immutable plan of a request, the catalog and the facts, or says what forbids it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.catalog.catalog import Catalog
from schemas.facts import DatabaseFact, Facts
from schemas.plan import Idempotency, Phase, Plan, PlannedStep, Repeat, Resource, RunIn, StepKind
from schemas.quiescing import ObjectRef
from schemas.reasons import Reason
from schemas.requests import ResetRequested
from schemas.resets import Channel
from schemas.wire import ResourceKey, ServiceName, StepName
from statemachines.canonical_json import digest
from statemachines.planning.backups import proof_of, prove_steps
from statemachines.planning.case import Case
from statemachines.planning.checks import checks_after, launch_needs, verifications_by_daemon
from statemachines.planning.commands import Command, Verification, failures_of, verifications, written
from statemachines.planning.protection import approvals_required, protection_of, protectors_of
from statemachines.planning.quiescing import quiesce_groups, release_groups, worked_in
from statemachines.planning.repositories import planned_repositories
from statemachines.planning.rules import check_rules
from statemachines.planning.selection import CoreAction
from statemachines.planning.used_catalog import digest_of_used
from statemachines.planning.warnings import warnings
from statemachines.planning.wipes import seed_looked_for, wiped_by
from statemachines.refusals import Refusal, refuse

BACKUP_TIMEOUT = 6 * 3600.0
"""Seconds."""
GIT_TIMEOUT = 120.0
"""Seconds."""


def plan(
    request: ResetRequested,
    channel: Channel,
    catalog: Catalog,
    catalog_id: str,
    facts: Facts,
    requesters: Iterable[str] = (),
) -> Plan | Refusal:
    """Return what a reset of this request will do, or every reason why it must not be done.

    `catalog_id` is the catalog's name and digest. `requesters` are people who joined the request. The same arguments
    always give the same plan.
    """
    case = Case.of(request, catalog, facts, requesters)
    refusal = check_rules(case)
    if refusal is not None:
        return refusal
    steps = _steps(case)
    if not steps:
        return refuse(Reason.NOTHING_TO_DO, f"mode {request.mode.value} runs nothing here")
    selection = case.selection
    images = {fact.service: fact.image_digest for fact in facts.services}
    in_place = worked_in(case)
    workloads = {each.key: each for each in (*in_place, *(fact.object for fact in case.facts.consumers))}
    locked = {*_touched(steps), *(workload.key for workload in in_place)}
    protections = {key: protection_of(key, case.facts, catalog) for key in sorted(locked)}
    required = approvals_required(protections.values(), request.environment, channel, catalog)
    fields: dict[str, Any] = {
        "environment": request.environment,
        "mode": request.mode,
        "service_modes": selection.modes,
        "options": selection.options,
        "integrations": selection.integrations,
        "core": selection.core is not CoreAction.NONE,
        "git": any(step.phase is Phase.GIT for step in steps),
        "not_before": request.not_before,
        "catalog": catalog_id,
        "catalog_used": digest_of_used(case),
        "steps": steps,
        "resources": tuple(
            _workload(case, workloads[key]) if key in workloads else _resource(case, key)
            for key in protections
        ),
        "images": {
            ServiceName(service.name): images[ServiceName(service.name)] for service in selection.services
        },
        "approvals_required": required,
        "approvers_in": _approvers_in(case, protections) if required else (),
        "repositories": planned_repositories(case),
        "assurances": case.assurances,
    }
    unhashed = Plan(**fields, warnings=warnings(case), hash="")
    return unhashed.model_copy(update={"hash": plan_hash(unhashed)})


def plan_hash(of: Plan) -> str:
    """Return `sha256:...` over the canonical JSON of a plan without what is there for people alone, and its hash."""
    for_people = {"catalog", "repositories", "warnings", "hash"}
    return digest(of.model_dump(mode="json", by_alias=True, exclude=for_people))


def _steps(case: Case) -> tuple[PlannedStep, ...]:
    """List all steps in order: quiescing, backups with their proofs, commands, repositories, verifications, releasing.

    Steps that may run at the same time share a batch.
    """
    pairs = written(case.commands)
    backups = _backups(case, pairs)
    groups: list[list[PlannedStep]] = [
        *quiesce_groups(case, backups),
        # The daemon's witness listens before the dumps begin, so a handshake need not wait for them.
        [*backups, *(_handshake(case, service, database) for service, database in pairs)],
        prove_steps(backups),
        *([_command(case, command)] for command in case.commands),
        _repositories(case),
        [
            *verifications_by_daemon(case),
            *(_verification(case, verification) for verification in verifications(case.selection)),
        ]
        if case.commands
        else [],
        *release_groups(case),
    ]
    return tuple(
        step.model_copy(update={"batch": batch})
        for batch, group in enumerate(group for group in groups if group)
        for step in group
    )


def _backups(case: Case, pairs: Iterable[tuple[ServiceName, str]]) -> list[PlannedStep]:
    """Make one backup for each database, through the first service that writes to it."""
    facts: dict[ResourceKey, DatabaseFact] = {}
    for service, database in pairs:
        fact = _fact(case, service, database)
        facts.setdefault(fact.key, fact)
    names = [fact.name for fact in facts.values()]
    return [
        PlannedStep(
            # Two servers may each have a database of that name.
            name=StepName(f"backup.{fact.name}" + (f".{fact.service}" if names.count(fact.name) > 1 else "")),
            phase=Phase.BACKUP,
            kind=StepKind.BACKUP_DATABASE,
            batch=0,
            service=fact.service,
            database=fact.database,
            touches=(fact.key,),
            timeout=BACKUP_TIMEOUT,
            proof=proof_of(fact.key, case.facts, case.catalog),
            run_in=case.place(fact.service),
        )
        for fact in facts.values()
    ]


def _handshake(case: Case, service: ServiceName, database: str) -> PlannedStep:
    fact = _fact(case, service, database)
    entry = case.catalog.service(service)
    declared = entry.database(database) if entry else None
    assert entry is not None
    assert declared is not None
    client = declared.client_handshake
    name = f"backup.handshake.{service}" + (f".{database}" if len(entry.databases) > 1 else "")
    return PlannedStep(
        name=StepName(name),
        phase=Phase.BACKUP,
        kind=StepKind.HANDSHAKE,
        batch=0,
        service=service,
        database=database,
        argv=declared.handshake.argv,
        client_argv=client.argv if client else (),
        touches=(fact.key,),
        timeout=declared.handshake.timeout,
        run_in=case.place(service),
        failures=failures_of(
            case.catalog, (*declared.handshake.failures, *(client.failures if client else ()))
        ),
    )


def _command(case: Case, command: Command) -> PlannedStep:
    entry = command.entry
    repeat = entry.repeat_until
    checks = checks_after(case, command)
    return PlannedStep(
        name=StepName(command.name),
        phase=Phase(entry.phase.value),
        kind=StepKind.COMMAND,
        batch=0,
        service=command.service_name,
        argv=command.argv,
        touches=_keys(case, command.service_name, command.databases),
        timeout=entry.timeout,
        idempotent=entry.idempotent,
        check=entry.check,
        scope=entry.scope,
        run_in=RunIn.HOLDER if case.quiesces else entry.run_in,
        destructive=command.destructive,
        skippable=entry.skippable,
        repeat=Repeat(until=repeat.until, bound=repeat.bound) if repeat else None,
        fail_on=entry.fail_on,
        checks=checks,
        migrates=bool(entry.migrated) and any(check.migrations for check in checks),
        launch_needs=launch_needs(case, command),
        wipes=wiped_by(case, command),
        configured_seed=seed_looked_for(case.catalog, case.selection, case.commands, command),
        failures=failures_of(case.catalog, (*entry.failures, *command.service.failures)),
    )


def _repositories(case: Case) -> list[PlannedStep]:
    facts = {fact.key: fact for fact in case.facts.repositories}
    return [
        PlannedStep(
            name=StepName(f"git.{each.repository}"),
            phase=Phase.GIT,
            kind=StepKind.RESET_REPOSITORY,
            batch=0,
            repository=each.repository,
            repository_id=facts[each.key].identity or None,
            repository_root=each.root.sha,
            repository_roots=tuple(root.sha for root in facts[each.key].roots),
            touches=(each.key,),
            timeout=GIT_TIMEOUT,
            destructive=True,
            skippable=True,
        )
        for each in planned_repositories(case)
    ]


def _verification(case: Case, verification: Verification) -> PlannedStep:
    entry = verification.entry
    return PlannedStep(
        name=StepName(verification.name),
        phase=Phase.VERIFY,
        kind=StepKind.COMMAND,
        batch=0,
        service=ServiceName(verification.service.name),
        argv=entry.argv,
        touches=_keys(case, ServiceName(verification.service.name), verification.databases),
        timeout=entry.timeout,
        idempotent=Idempotency.SAFE,
        run_in=case.place(verification.service.name),
        fail_on=entry.fail_on,
        pass_on=entry.pass_on,
        failures=failures_of(case.catalog, entry.failures),
    )


def _fact(case: Case, service: str, database: str) -> DatabaseFact:
    fact = case.database(service, database)
    assert fact is not None, "the rules let no unidentified database through"
    return fact


def _keys(case: Case, service: ServiceName, databases: Iterable[str]) -> tuple[ResourceKey, ...]:
    return tuple(dict.fromkeys(_fact(case, service, database).key for database in databases))


def _touched(steps: Iterable[PlannedStep]) -> tuple[ResourceKey, ...]:
    """List every resource of the plan once, sorted."""
    return tuple(sorted({key for step in steps for key in step.touches}))


def _approvers_in(case: Case, touched: Iterable[ResourceKey]) -> tuple[str, ...]:
    """List the environments whose approvers are asked: a right in one of them is none in another."""
    protectors = (protectors_of(key, case.facts, case.catalog) for key in touched)
    return tuple(sorted({case.environment}.union(*protectors)))


def _resource(case: Case, key: ResourceKey) -> Resource:
    because = protection_of(key, case.facts, case.catalog).because
    names: dict[ResourceKey, tuple[str, str]] = {
        fact.key: ("repository", fact.repository) for fact in case.facts.repositories
    }
    names |= {fact.key: ("database", fact.name) for fact in case.facts.databases}
    kind, name = names[key]
    return Resource(
        key=key,
        kind=kind,
        name=name,
        users=tuple(sorted(case.facts.users[key])),
        elsewhere=tuple(entry.label for entry in case.catalog.elsewhere if entry.uses(key)),
        marked=case.facts.markers.get(key, ()),
        protected=because is not None,
        protected_because=because,
    )


def _workload(case: Case, workload: ObjectRef) -> Resource:
    protection = protection_of(workload.key, case.facts, case.catalog)
    return Resource(
        key=workload.key,
        kind="workload",
        name=str(workload),
        users=(workload.environment,),
        protected=protection.because is not None,
        protected_because=protection.because,
    )
