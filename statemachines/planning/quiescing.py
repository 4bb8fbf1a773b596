"""What a plan quiesces, and in which order: nobody but the reset writes to its databases while they are rebuilt.

First ArgoCD is held, so that it scales nothing up again. Then nothing starts pods by itself, and what it has started
has ended. Then the workloads rest. Then nobody may be connected.
It is undone in the reverse order, and the environments have to be healthy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from schemas.facts import Unreadable
from schemas.plan import Phase, PlannedStep, RunIn, StepKind
from schemas.quiescing import APPLICATION, SCALED_OBJECT, STARTERS, ConsumerFact, ObjectRef
from schemas.reasons import Reason
from schemas.wire import StepName
from statemachines.planning.case import Case
from statemachines.refusals import Refused

CHANGE_TIMEOUT = 120.0
"""Seconds: until a pod is gone that was told to end, or a sync is over."""
JOBS_TIMEOUT = 1800.0
"""Seconds: until the Jobs that run have ended. No service is down yet."""
SESSIONS_TIMEOUT = 60.0
"""Seconds: until the last session of somebody else has ended."""
HEALTH_TIMEOUT = 900.0
"""Seconds: until what was released is healthy."""


def consumers_can_be_quiesced(case: Case) -> Iterator[Refused]:
    """All that uses a database of the plan must stay at rest until it is released."""
    for fact in case.facts.consumers:
        for obstacle in fact.obstacles:
            yield Refused(Reason.QUIESCE_REFUSED, obstacle, by_rule=False)
        for right in fact.missing_rights:
            detail = f"{fact.object} can't be quiesced: missing right: {right}. Give the daemon's account that right"
            yield Refused(Reason.KUBERNETES_FORBIDDEN, detail, by_rule=False)


def holders_can_be_made(case: Case) -> Iterator[Refused]:
    """Each service of the plan must have a holder to run its commands in before anything of it goes down."""
    for each in case.facts.holder_refusals:
        detail = f"{each.service} could have no holder to run its commands in while it rests: {each.detail}"
        yield Refused(each.reason, detail, by_rule=False)


def others_could_be_asked(case: Case) -> Iterator[Refused]:
    """The cluster must have answered what other environments use: what uses a database of the plan is found by that."""
    if not case.quiesces:
        return
    for gap in _unread(case):
        if gap.reason is Reason.KUBERNETES_UNREACHABLE:
            detail = f"what {gap.environment} uses could not be read: {gap.detail}"
            yield Refused(gap.reason, detail, temporary=gap.temporary, by_rule=False)


def maybe_consumers(case: Case) -> Iterator[str]:
    """Name what could not be read of other environments: where it uses these databases, too, it stays up."""
    if not case.quiesces:
        return
    for gap in _unread(case):
        if gap.reason is not Reason.KUBERNETES_UNREACHABLE:
            who = "/".join(filter(None, (gap.environment, gap.service)))
            yield (
                f"What {who} uses could not be read ({gap.detail}): it is not scaled to 0. Once it is connected to "
                "one of these databases, the reset stops."
            )


def quiesce_groups(case: Case, backups: Sequence[PlannedStep]) -> list[list[PlannedStep]]:
    """List the steps before the backups, each group after the other. `backups` name the databases and the way there."""
    applications, starters, workloads = _parted(case.facts.consumers)
    if not workloads:
        return []
    return [
        [_of_object(Phase.QUIESCE, StepKind.QUIESCE, fact) for fact in applications],
        [_of_object(Phase.QUIESCE, StepKind.QUIESCE, fact) for fact in starters],
        [_of_object(Phase.QUIESCE, StepKind.QUIESCE, fact) for fact in workloads],
        [_clear_sessions(backup) for backup in backups],
    ]


def release_groups(case: Case) -> list[list[PlannedStep]]:
    """List the steps that undo it: the last of a reset that comes to its end."""
    applications, starters, workloads = _parted(case.facts.consumers)
    if not workloads:
        return []
    environments = dict.fromkeys(fact.object.environment for fact in case.facts.consumers)
    return [
        [_of_object(Phase.RELEASE, StepKind.RELEASE, fact) for fact in workloads],
        [_of_object(Phase.RELEASE, StepKind.RELEASE, fact) for fact in starters],
        [_of_object(Phase.RELEASE, StepKind.RELEASE, fact) for fact in applications],
        [
            PlannedStep(
                name=StepName(f"release.health.{environment}"),
                phase=Phase.RELEASE,
                kind=StepKind.AWAIT_HEALTH,
                batch=0,
                environment=environment,
                timeout=HEALTH_TIMEOUT,
                skippable=True,
            )
            for environment in environments
        ],
    ]


def quiesced_objects(steps: Iterable[PlannedStep], environment: str | None = None) -> tuple[ObjectRef, ...]:
    """List the objects that the steps of a plan quiesce, of one environment where it is given."""
    return tuple(
        step.object
        for step in steps
        if step.kind is StepKind.QUIESCE
        and step.object is not None
        and environment in {None, step.object.environment}
    )


def worked_in(case: Case) -> tuple[ObjectRef, ...]:
    """List the workloads in whose own pods commands of the plan run, where the catalog quiesces in any mode.

    They are locked: a reset that scales one of them to 0 would end the command.
    """
    if not case.catalog.quiesce:
        return ()
    used = {command.service_name for command in case.commands}
    return tuple(
        workload
        for fact in case.facts.services
        if fact.service in used and case.place(fact.service) is RunIn.SERVICE
        for workload in fact.workloads
    )


def down(case: Case) -> Iterator[str]:
    """Warn of who is down meanwhile, and of what does not start."""
    _, starters, workloads = _parted(case.facts.consumers)
    environments = dict.fromkeys(fact.object.environment for fact in workloads)
    for environment in environments:
        names = [fact.object.name for fact in workloads if fact.object.environment == environment]
        yield f"{environment} is down from the first step until the end: {', '.join(names)}."
    if names := [str(fact.object) for fact in starters if fact.object.kind != SCALED_OBJECT]:
        yield f"{', '.join(names)} may use these databases and start nothing meanwhile; what they started ends first."


def _unread(case: Case) -> Iterator[Unreadable]:
    """What could not be read of services that are not reset, here and elsewhere, and refuses no plan by itself."""
    for gap in case.facts.unreadable:
        other = gap.environment != case.environment
        left_out = gap.service is not None and not case.selection.has(gap.service)
        if (other or left_out) and not gap.protected:
            yield gap


def _parted(
    facts: Collection[ConsumerFact],
) -> tuple[list[ConsumerFact], list[ConsumerFact], list[ConsumerFact]]:
    """The Applications, what starts or scales pods by itself, and the workloads."""
    applications = [fact for fact in facts if fact.object.kind == APPLICATION]
    starters = [fact for fact in facts if fact.object.kind in STARTERS]
    workloads = [fact for fact in facts if fact.object.kind not in {APPLICATION, *STARTERS}]
    return applications, starters, workloads


def _of_object(phase: Phase, kind: StepKind, fact: ConsumerFact) -> PlannedStep:
    target = fact.object
    # What scales a workload is changed by who has locked the workload. An Application keeps more than one.
    is_locked = target.kind not in {APPLICATION, SCALED_OBJECT}
    return PlannedStep(
        name=StepName(f"{phase.value}.{target.environment}.{target.kind.lower()}.{target.name}"),
        phase=phase,
        kind=kind,
        batch=0,
        object=target,
        touches=(target.key,) if is_locked else (),
        uses=fact.uses if kind is StepKind.QUIESCE else (),
        timeout=JOBS_TIMEOUT if target.kind in STARTERS else CHANGE_TIMEOUT,
    )


def _clear_sessions(backup: PlannedStep) -> PlannedStep:
    return PlannedStep(
        name=StepName(f"quiesce.sessions.{backup.name.partition('.')[2]}"),
        phase=Phase.QUIESCE,
        kind=StepKind.CLEAR_SESSIONS,
        batch=0,
        service=backup.service,
        database=backup.database,
        touches=backup.touches,
        timeout=SESSIONS_TIMEOUT,
        run_in=RunIn.HOLDER,
    )
