"""Reads the world before a plan is made: pods, databases as the pods reach them, repositories, who shares what.

A fact that could not be read is listed as unreadable, with whether its environment is protected. The planner decides
what that means.

Over 300 lines: one reading of the world, whose parts share one set of findings.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from daemon.engine.facts.backups import BackupReader
from daemon.engine.facts.consumers import ConsumerReader
from daemon.engine.facts.holders import HolderReader
from daemon.engine.facts.markers import check_marker
from daemon.engine.facts.sessions import SessionReader, WaysIn
from daemon.engine.facts.survey import Survey
from daemon.engine.facts.wipes import WipeReader
from daemon.engine.kept_down import kept_down
from daemon.ports.clock import Clock
from daemon.ports.databases import Databases, Identity
from daemon.ports.errors import PermanentError, PortError
from daemon.ports.pods.cluster import Pod, Workloads
from daemon.ports.pods.holders import Need
from daemon.ports.pods.pods import Pods
from daemon.ports.quiescing import Quiescing
from daemon.ports.repositories import Repositories
from daemon.ports.store.store import Store
from schemas.catalog.catalog import Catalog, Database, Service
from schemas.facts import (
    AbsentService,
    BackupFact,
    ConfiguredSeedFact,
    DatabaseFact,
    Facts,
    HolderRefusal,
    Loss,
    MigrationsFact,
    RepositoryFact,
    ServiceFact,
    SessionFact,
    Unreadable,
)
from schemas.protection import ProtectedUse
from schemas.quiescing import ConsumerFact, ObjectRef
from schemas.reasons import Reason
from schemas.requests import ResetRequested
from schemas.wire import AttemptId, ResetId, ResourceKey, ServiceName
from statemachines.planning.commands import commands, written
from statemachines.planning.gaps import DATABASE, REPOSITORY
from statemachines.planning.namespaces import protects
from statemachines.planning.selection import Selection, quiesces, select
from statemachines.planning.sessions import UNREAD
from statemachines.planning.wipes import drops_schema

READS_AT_ONCE = 8
"""Pods and databases that are read at the same time."""
_FACTS_SECONDS = 600.0
"""How long a holder is needed whose service is read."""
REMEMBERED = 1000
"""Containers whose variables are kept."""

OUT_OF_REACH = frozenset(
    {Reason.DATABASE_LOCAL_TO_POD, Reason.DATABASE_SEVERAL_HOSTS, Reason.DATABASE_POOLED}
)
"""Why the daemon can't follow a service's own URL: only the service's own tool can show where it leads."""


@dataclass
class _Findings:
    holding: ResetId | None = None
    """The reset that plans, where it may have scaled services to 0."""
    services: list[ServiceFact] = field(default_factory=list)
    databases: list[DatabaseFact] = field(default_factory=list)
    migrations: list[MigrationsFact] = field(default_factory=list)
    seeds: list[ConfiguredSeedFact] = field(default_factory=list)
    pods: dict[ServiceName, Pod] = field(default_factory=dict)
    """The pods that the steps of a plan would run in."""
    users: dict[ResourceKey, set[str]] = field(default_factory=lambda: defaultdict(set))
    markers: dict[ResourceKey, tuple[str, ...]] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    workloads: dict[str, Workloads] = field(default_factory=dict)
    uses: list[ProtectedUse] = field(default_factory=list)
    """What environments of protected kinds use."""
    ways: WaysIn = field(default_factory=WaysIn)
    used: dict[tuple[str, str], set[ResourceKey]] = field(default_factory=lambda: defaultdict(set))
    """(environment, service) -> the databases that it uses there."""
    consumers: tuple[ConsumerFact, ...] = ()
    holder_refusals: tuple[HolderRefusal, ...] = ()


class FactsReader:
    """Reads facts through ports.

    The variables of a container stay the same while it runs. They are read once for each container: most of the time
    that reading facts takes is the exec that reads them.
    """

    def __init__(
        self,
        pods: Pods,
        databases: Databases,
        repositories: Repositories,
        store: Store,
        clock: Clock,
        catalog: Catalog,
        quiescing: Quiescing,
        backups: BackupReader | None = None,
    ) -> None:
        """Without `backups` nobody looks how databases are dumped and proven; a plan that restores is refused then."""
        self._backups = backups
        self._consumers = ConsumerReader(quiescing, catalog)
        self._holders = HolderReader(pods)
        self._pods = pods
        self._databases = databases
        self._repositories = repositories
        self._store = store
        self._clock = clock
        self._sessions = SessionReader(pods, databases)
        self._survey = Survey(pods, catalog)
        self._wipes = WipeReader(pods, catalog, self.lost_by_wipe)
        self._catalog = catalog
        self._variables: dict[tuple[str, str], Mapping[str, str]] = {}

    async def read(self, request: ResetRequested, holding: ResetId | None = None) -> Facts:
        """Read all that a plan for this request depends on.

        Services that the reset `holding` has scaled to 0 are read in its holders.

        Raises:
            PortError: the cluster itself or the state database can't be asked.
        """
        environment = request.environment
        # Namespaces of undeclared kinds are read as well: one that runs these services may use the same databases.
        names = await self._survey.namespaces()
        if environment not in names:
            return Facts(environment=environment, exists=False)
        chosen = set(request.services or [service.name for service in self._catalog.services])
        slots = asyncio.Semaphore(READS_AT_ONCE)
        findings = await self._read_namespaces(slots, names, environment, chosen, holding)
        selection = select(request, self._catalog)
        await self._read_wipes(findings, slots, environment, selection)
        await self._read_consumers(findings, slots, environment, selection)
        repositories, sessions, backups = await asyncio.gather(
            self._read_repositories(findings, request, names),
            self._read_sessions(findings, slots, environment),
            self._read_backups(findings, slots, selection),
        )
        facts = await self._facts(findings, environment, repositories, sessions)
        return facts.model_copy(update={"backups": backups})

    async def sharing(self, environment: str) -> tuple[Facts, list[str]]:
        """Read who uses which database, as for a plan of all services of an environment. Return the namespaces, too.

        Raises:
            PortError: the cluster itself or the state database can't be asked.
        """
        names = await self._survey.namespaces()
        chosen = {service.name for service in self._catalog.services}
        slots = asyncio.Semaphore(READS_AT_ONCE)
        findings = await self._read_namespaces(slots, names, environment, chosen)
        return await self._facts(findings, environment), names

    async def _facts(
        self,
        findings: _Findings,
        environment: str,
        repositories: tuple[RepositoryFact, ...] = (),
        sessions: tuple[SessionFact, ...] = (),
    ) -> Facts:
        """Make facts of what was found, of what is remembered, and of what people said."""
        remembered = await self._store.protected()
        absent = self._note_unseen(findings, environment, {use.environment for use in remembered})
        words = await self._store.words(now=self._clock.now())
        return Facts(
            environment=environment,
            exists=True,
            services=tuple(sorted(findings.services, key=lambda fact: fact.service)),
            databases=tuple(sorted(findings.databases, key=lambda fact: (fact.service, fact.database))),
            repositories=repositories,
            migrations=tuple(sorted(findings.migrations, key=lambda fact: (fact.service, fact.database))),
            configured_seeds=tuple(sorted(findings.seeds, key=lambda fact: fact.step)),
            users={key: tuple(sorted(findings.users[key])) for key in sorted(findings.users)},
            markers={key: findings.markers[key] for key in sorted(findings.markers)},
            remembered_protected=tuple(sorted({use.key for use in remembered})),
            remembered=remembered,
            protected_uses=tuple(findings.uses),
            consumers=findings.consumers,
            holder_refusals=findings.holder_refusals,
            sessions=sessions,
            absent=absent,
            words=tuple(kept.word for kept in words),
            unreadable=tuple(
                sorted(
                    findings.unreadable,
                    key=lambda fact: (fact.environment, fact.subject, fact.service or ""),
                )
            ),
        )

    async def remember(self, uses: Sequence[ProtectedUse]) -> None:
        """Remember what protected environments are seen to use.

        Raises:
            PortError: the state database does not answer.
        """
        await self._store.remember_protected(uses, now=self._clock.now())

    async def variables(self, pod: Pod, names: Sequence[str]) -> Mapping[str, str]:
        """The values of the container's variables."""
        key = (pod.uid, pod.container_id)
        if key not in self._variables:
            self._variables[key] = await self._pods.variables(pod, names)
            while len(self._variables) > REMEMBERED:
                del self._variables[next(iter(self._variables))]
        return self._variables[key]

    async def identify(
        self, pod: Pod, service: Service, database: str, *, direct: bool = False
    ) -> tuple[str, Identity]:
        """The connection string for the daemon's sessions in a service's database, and who answers there.

        It is the service's own, unless the pod has the catalog's `directUrlVariable`. `direct` is the port's.

        Raises:
            PortError: it could not be read or reached.
        """
        declared = _declared(service, database)
        url, own = await self.urls(pod, service, declared)
        identity = await self._databases.identify(own or url, environment=pod.environment, direct=direct)
        if own is not None:
            await self._check_leads_there(url, declared, identity, pod.environment)
        return own or url, identity

    async def urls(self, pod: Pod, service: Service, declared: Database) -> tuple[str, str | None]:
        """The service's own connection string, and the one for the daemon's sessions where that is another one.

        Raises:
            PortError: it could not be read.
        """
        names = [variable for each in service.databases for variable in each.variables]
        values = await self.variables(pod, names)
        url = declared.url(values)
        if url is None:
            detail = f"{service.name} has no {' / '.join(declared.variables)} in its environment"
            raise PermanentError(Reason.DATABASE_UNIDENTIFIED, detail)
        return url, declared.direct_url(values)

    async def lost_by_wipe(self, pod: Pod, service: Service, database: str) -> tuple[Loss, ...]:
        """What goes with a database of the service when that is wiped.

        Raises:
            PortError: it could not be read.
        """
        declared = _declared(service, database)
        url, direct = await self.urls(pod, service, declared)
        return await self._databases.lost_by_wipe(
            direct or url, environment=pod.environment, service_url=url, whole=drops_schema(declared)
        )

    async def _check_leads_there(
        self, url: str, declared: Database, identity: Identity, environment: str
    ) -> None:
        """Compare the service's own URL with the direct one, where the daemon can follow it."""
        try:
            reached = await self._databases.identify(url, environment=environment)
        except PermanentError as error:
            if error.reason in OUT_OF_REACH:
                return  # the handshake shows where it leads
            raise
        if reached.key != identity.key:
            raise PermanentError(
                Reason.DATABASE_MISMATCH,
                f"{declared.direct_url_variable} leads to {identity.key}, the service's own URL to {reached.key}",
                hint="Correct one of the two variables.",
            )

    async def _read_namespaces(
        self,
        slots: asyncio.Semaphore,
        names: Sequence[str],
        environment: str,
        chosen: set[str],
        holding: ResetId | None = None,
    ) -> _Findings:
        """Read the chosen services of the environment, and what all others use."""
        findings = _Findings(holding=holding)
        try:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    wanted = chosen if name == environment else set[str]()
                    group.create_task(self._read_namespace(group, findings, slots, name, wanted))
        except* PortError as errors:
            raise _first(errors) from errors
        return findings

    async def _read_namespace(
        self,
        group: asyncio.TaskGroup,
        findings: _Findings,
        slots: asyncio.Semaphore,
        environment: str,
        wanted: set[str],
    ) -> None:
        async with slots:
            workloads = await self._pods.workloads(environment)
        findings.workloads[environment] = workloads
        for service in self._catalog.services:
            # Other environments are asked only about the services that they run.
            if service.name in wanted or workloads.matching(service.selector_text):
                read = self._read_wanted if service.name in wanted else self._read_other
                group.create_task(read(findings, slots, environment, service, workloads))

    def _note_unseen(
        self, findings: _Findings, environment: str, remembered: set[str]
    ) -> tuple[AbsentService, ...]:
        """Note what is unknown of other namespaces. Return the services that the catalog says are not there."""
        absent: list[AbsentService] = []
        names = sorted(findings.workloads)
        for name in names:
            view = self._survey.view(name, findings.workloads[name], names, remembered)
            if name == environment:
                # Its own services are asked for by name, and its own kind protects what it uses.
                gaps = [gap.model_copy(update={"protected": False}) for gap in view.gaps if not gap.service]
            else:
                gaps = list(view.gaps)
                absent += view.absent
            findings.unreadable += gaps
        return tuple(absent)

    async def _read_wanted(
        self,
        findings: _Findings,
        slots: asyncio.Semaphore,
        environment: str,
        service: Service,
        workloads: Workloads,
    ) -> None:
        """Read a service that is to be reset, by the pod that its steps run in."""
        subject = "pods"
        try:
            async with slots:
                pod = await self._pod_of(environment, service, workloads, findings.holding)
                findings.pods[ServiceName(service.name)] = pod
                findings.services.append(
                    ServiceFact(
                        service=ServiceName(service.name),
                        image_digest=pod.image_digest,
                        pod=pod.name,
                        consumers=workloads.replicas(service.selector_text),
                        workloads=tuple(
                            ObjectRef(environment=environment, kind=each.kind, name=each.name)
                            for each in workloads.matching(service.selector_text)
                            if each.templated
                        ),
                    )
                )
                for database in service.databases:
                    subject = f"{DATABASE}{database.name}"
                    # It has to be dumped, which takes a session of its own.
                    url, identity = await self.identify(pod, service, database.name, direct=True)
                    check_marker(identity, environment)
                    self._note_use(findings, environment, service, database, url, identity)
                    findings.databases.append(
                        DatabaseFact(
                            service=ServiceName(service.name),
                            database=database.name,
                            key=identity.key,
                            name=identity.name,
                            tables=identity.tables,
                            size_bytes=identity.size_bytes,
                            copied_markers=tuple(
                                mark.environment for mark in identity.markers if not mark.believed
                            ),
                            server_version=identity.server_version,
                        )
                    )
        except PortError as error:
            findings.unreadable.append(
                self._survey.unreadable(error, environment, ServiceName(service.name), subject)
            )

    async def _pod_of(
        self, environment: str, service: Service, workloads: Workloads, holding: ResetId | None
    ) -> Pod:
        """The pod that the service's steps would run in: its own, or the holder of a reset that has it scaled to 0."""
        where = (environment, service.selector_text, service.container)
        resting = [each for each in workloads.matching(service.selector_text) if each.rests]
        if not resting or workloads.replicas(service.selector_text):
            return await self._pods.choose(*where)
        if holding is None or any(holding not in each.quiesced_by for each in resting):
            by = dict.fromkeys(reset for each in resting for reset in each.quiesced_by)
            what = f"{service.name} of {environment} is scaled to 0 by"
            raise await kept_down(self._store, what, list(by))
        need = Need(service.name, AttemptId(f"{holding}/facts/0"), _FACTS_SECONDS)
        return await self._pods.hold(*where, need)

    async def _read_other(
        self,
        findings: _Findings,
        slots: asyncio.Semaphore,
        environment: str,
        service: Service,
        workloads: Workloads,
    ) -> None:
        """Read which databases a service uses that is not reset. All of its pods' templates tell that together.

        A workload that a reset has scaled to 0 tells what its pods used before.
        """
        matching = workloads.matching(service.selector_text)
        for workload in (each for each in matching if each.rests):
            for key in workload.used:
                self._note_key(findings, environment, service, key)
        if all(each.rests and each.used for each in matching):
            return
        async with slots:
            to_ask = await self._survey.to_ask(environment, service, workloads)
            findings.unreadable += to_ask.gaps
            for pod in to_ask.pods:
                await self._note_uses(findings, pod, service, own=pod is to_ask.chosen)

    async def _note_uses(self, findings: _Findings, pod: Pod, service: Service, *, own: bool) -> None:
        """Note the databases that a pod of a service uses. Where it is not its `own`, it may lack their variables."""
        for database in service.databases:
            try:
                if not own and await self._uses_none(pod, service, database):
                    continue
                url, identity = await self.identify(pod, service, database.name)
            except PortError as error:
                subject = f"{DATABASE}{database.name}" if own else f"pod {pod.name}"
                gap = self._survey.unreadable(error, pod.environment, ServiceName(service.name), subject)
                if gap not in findings.unreadable:
                    findings.unreadable.append(gap)
                continue
            self._note_use(findings, pod.environment, service, database, url, identity)

    async def _uses_none(self, pod: Pod, service: Service, database: Database) -> bool:
        names = [variable for each in service.databases for variable in each.variables]
        return database.url(await self.variables(pod, names)) is None

    def _note_use(
        self,
        findings: _Findings,
        environment: str,
        service: Service,
        database: Database,
        url: str,
        identity: Identity,
    ) -> None:
        """Note that a service uses the database that answers at the URL, and what the markers in it say."""
        findings.ways.add(identity.key, url, environment)
        if identity.marked:
            findings.markers[identity.key] = identity.marked
        self._note_key(findings, environment, service, identity.key, database.name)

    def _note_key(
        self,
        findings: _Findings,
        environment: str,
        service: Service,
        key: ResourceKey,
        database: str | None = None,
    ) -> None:
        findings.users[key].add(environment)
        findings.used[environment, service.name].add(key)
        self._note_protected(findings, environment, key, ServiceName(service.name), database)

    async def _read_consumers(
        self, findings: _Findings, slots: asyncio.Semaphore, environment: str, selection: Selection
    ) -> None:
        """Read what has to be quiesced, and what the commands need then, where the selection does that.

        A workload's only user is its environment.
        """
        if not quiesces(selection, self._catalog):
            return
        pairs = written(commands(selection))
        keys = {fact.key for fact in findings.databases if (fact.service, fact.database) in pairs}
        findings.consumers = await self._consumers.read(keys, findings.workloads, findings.used, slots)
        for fact in findings.consumers:
            findings.users[fact.object.key].add(fact.object.environment)
        services = [service for service in selection.services if service.name in findings.pods]
        findings.holder_refusals = await self._holders.read(environment, services, slots)

    async def _read_wipes(
        self, findings: _Findings, slots: asyncio.Semaphore, environment: str, selection: Selection
    ) -> None:
        """Read what the wipes of the selection depend on."""
        places = {(fact.service, fact.database): place for place, fact in enumerate(findings.databases)}
        found = await self._wipes.read(selection, places, findings.pods, slots)
        findings.migrations, findings.seeds = found.migrations, found.seeds
        for key, losses in found.losses.items():
            fact = findings.databases[places[key]]
            findings.databases[places[key]] = fact.model_copy(update={"losses": losses})
        findings.unreadable += [
            self._survey.unreadable(each.error, environment, each.service, each.subject)
            for each in found.unread
        ]

    async def _read_sessions(
        self, findings: _Findings, slots: asyncio.Semaphore, environment: str
    ) -> tuple[SessionFact, ...]:
        names = {fact.key: fact.name for fact in findings.databases}
        found = await self._sessions.read(findings.ways, findings.users, names, slots)
        for key, error in sorted(found.unread.items()):
            gap = self._survey.unreadable(error, environment, None, f"{UNREAD}{names[key]}")
            findings.unreadable.append(gap.model_copy(update={"protected": False}))
        return tuple(found.sessions)

    async def _read_backups(
        self, findings: _Findings, slots: asyncio.Semaphore, selection: Selection
    ) -> tuple[BackupFact, ...]:
        """Read how the databases that the selection writes to are dumped and proven."""
        if self._backups is None:
            return ()
        pairs = written(commands(selection))
        databases = [fact for fact in findings.databases if (fact.service, fact.database) in pairs]
        return await self._backups.read(databases, slots)

    async def _read_repositories(
        self, findings: _Findings, request: ResetRequested, names: Sequence[str]
    ) -> tuple[RepositoryFact, ...]:
        found: list[RepositoryFact] = []
        for declared in self._catalog.repositories:
            name = declared.name_for(request.environment)
            try:
                branch = await self._repositories.read(name, declared.branch_for(request.environment))
            except PortError as error:
                findings.unreadable.append(
                    self._survey.unreadable(error, request.environment, None, f"{REPOSITORY}{name}")
                )
                continue
            key = ResourceKey(f"repository/{branch.owner}/{branch.repository}/{branch.branch}")
            for each in (each for each in names if _rewinds(self._catalog, each, name, branch.branch)):
                findings.users[key].add(each)
                self._note_protected(findings, each, key)
            found.append(
                RepositoryFact(
                    repository=name,
                    key=key,
                    owner=branch.owner,
                    branch=branch.branch,
                    head=branch.head,
                    roots=branch.roots,
                    warnings=branch.warnings,
                    identity=branch.identity,
                    refusals=branch.refusals,
                    beside=branch.beside,
                )
            )
        return tuple(found)

    def _note_protected(
        self,
        findings: _Findings,
        environment: str,
        key: ResourceKey,
        service: ServiceName | None = None,
        database: str | None = None,
    ) -> None:
        if protects(environment, self._catalog):
            findings.uses.append(
                ProtectedUse(environment=environment, service=service, database=database, key=key)
            )


def _rewinds(catalog: Catalog, environment: str, repository: str, branch: str) -> bool:
    """Whether a reset of that environment would rewind the branch. GitHub takes names of repositories in any case.

    A branch that the catalog does not name may be any.
    """
    return any(
        declared.name_for(environment).lower() == repository.lower()
        and declared.branch_for(environment) in {None, branch}
        for declared in catalog.repositories
    )


def _declared(service: Service, database: str) -> Database:
    declared = service.database(database)
    if declared is None:
        detail = f"the catalog has no database {database} of {service.name} any more"
        raise PermanentError(Reason.DATABASE_UNIDENTIFIED, detail)
    return declared


def _first(errors: BaseExceptionGroup[PortError]) -> PortError:
    """One of the errors that the tasks ended with."""
    for error in errors.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")
