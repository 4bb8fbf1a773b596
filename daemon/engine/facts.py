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

from daemon.engine.image_migrations import image_migrations
from daemon.engine.image_seeds import Loads, Seen, configured_seed
from daemon.engine.markers import check_marker
from daemon.engine.session_facts import SessionReader, WaysIn
from daemon.engine.survey import Survey
from daemon.ports.clock import Clock
from daemon.ports.databases import Databases, Identity
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Pod, Workloads
from daemon.ports.pods.pods import Pods
from daemon.ports.repositories import Repositories
from daemon.ports.store.store import Store
from schemas.catalog.catalog import Catalog, Database, Service
from schemas.facts import (
    AbsentService,
    ConfiguredSeedFact,
    DatabaseFact,
    Facts,
    Loss,
    MigrationsFact,
    RepositoryFact,
    ServiceFact,
    SessionFact,
    Unreadable,
)
from schemas.plan import ConfiguredSeed
from schemas.protection import ProtectedUse
from schemas.reasons import Reason
from schemas.requests import Mode, ResetRequested
from schemas.wire import ResourceKey, ServiceName, client_of, kind_of
from statemachines.planning.commands import Command, commands
from statemachines.planning.gaps import LOSSES_OF, SEED_OF
from statemachines.planning.namespaces import Standing
from statemachines.planning.protection import is_protected_kind
from statemachines.planning.selection import CoreAction, Selection, select
from statemachines.planning.sessions import UNREAD
from statemachines.planning.wipes import drops_schema, seed_looked_for, wiped_pairs
from statemachines.steps.tool_seeds import Answer

READS_AT_ONCE = 8
"""Pods and databases that are read at the same time."""
REMEMBERED = 1000
"""Containers whose variables are kept."""

OUT_OF_REACH = frozenset(
    {Reason.DATABASE_LOCAL_TO_POD, Reason.DATABASE_SEVERAL_HOSTS, Reason.DATABASE_POOLED}
)
"""Why the daemon can't follow a service's own URL: only the service's own tool can show where it leads."""


@dataclass
class _Findings:
    services: list[ServiceFact] = field(default_factory=list)
    databases: list[DatabaseFact] = field(default_factory=list)
    migrations: list[MigrationsFact] = field(default_factory=list)
    seeds: list[ConfiguredSeedFact] = field(default_factory=list)
    users: dict[ResourceKey, set[str]] = field(default_factory=lambda: defaultdict(set))
    markers: dict[ResourceKey, tuple[str, ...]] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    workloads: dict[str, Workloads] = field(default_factory=dict)
    uses: list[ProtectedUse] = field(default_factory=list)
    """What environments of protected kinds use."""
    ways: WaysIn = field(default_factory=WaysIn)


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
    ) -> None:
        self._pods = pods
        self._databases = databases
        self._repositories = repositories
        self._store = store
        self._clock = clock
        self._sessions = SessionReader(pods, databases)
        self._survey = Survey(pods, catalog)
        self._loads: Loads = {}
        self._catalog = catalog
        self._variables: dict[tuple[str, str], Mapping[str, str]] = {}

    async def read(self, request: ResetRequested) -> Facts:
        """Read all that a plan for this request depends on.

        Raises:
            PortError: the cluster itself or the state database can't be asked.
        """
        environment = request.environment
        # Namespaces of undeclared kinds are read as well: one that runs these services may use the same databases.
        names = await self._survey.namespaces()
        if environment not in names:
            return Facts(environment=environment, exists=False)
        chosen = set(request.services or [service.name for service in self._catalog.services])
        findings = _Findings()
        slots = asyncio.Semaphore(READS_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    wanted = chosen if name == environment else set[str]()
                    group.create_task(self._read_namespace(group, findings, slots, name, wanted))
        except* PortError as errors:
            raise _first(errors) from errors
        selection = select(request, self._catalog)
        await self._read_migrations(findings, slots, environment, selection)
        await self._read_wipes(findings, slots, environment, selection)
        repositories, sessions = await asyncio.gather(
            self._read_repositories(findings, request, names),
            self._read_sessions(findings, slots, environment),
        )
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

    async def identify(self, pod: Pod, service: Service, database: str) -> tuple[str, Identity]:
        """The connection string for the daemon's sessions in a service's database, and who answers there.

        It is the service's own, unless the pod has the catalog's `directUrlVariable`.

        Raises:
            PortError: it could not be read or reached.
        """
        declared = _declared(service, database)
        url, direct = await self.urls(pod, service, declared)
        if direct is None:
            return url, await self._databases.identify(url, environment=pod.environment)
        identity = await self._databases.identify(direct, environment=pod.environment)
        await self._check_leads_there(url, declared, identity, pod.environment)
        return direct, identity

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
                group.create_task(
                    self._read_service(
                        findings, slots, environment, service, service.name in wanted, workloads
                    )
                )

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
            if view.standing is not Standing.OTHER:
                findings.unreadable += gaps
        return tuple(absent)

    async def _read_service(
        self,
        findings: _Findings,
        slots: asyncio.Semaphore,
        environment: str,
        service: Service,
        wanted: bool,
        workloads: Workloads,
    ) -> None:
        """Read each database of a service by itself: one that can't be read hides no other, and no other pod."""
        name, where = ServiceName(service.name), (environment, service.selector_text, service.container)
        async with slots:
            try:
                # What a service of another environment uses, all of its pods' templates tell together.
                pods = (await self._pods.choose(*where),) if wanted else await self._pods.choose_each(*where)
            except PortError as error:
                findings.unreadable.append(self._unreadable(error, environment, name, "pods"))
                return
            if wanted:
                findings.services.append(
                    ServiceFact(
                        service=name,
                        image_digest=pods[0].image_digest,
                        pod=pods[0].name,
                        consumers=workloads.replicas(service.selector_text),
                    )
                )
            for database in service.databases:
                try:
                    await self._read_database(findings, pods[0], service, database, wanted)
                except PortError as error:
                    gap = self._unreadable(error, environment, name, f"database {database.name}")
                    findings.unreadable.append(gap)
            for other in pods[1:]:
                try:
                    await self._note_uses(findings, other, service)
                except PortError as error:
                    gap = self._unreadable(error, environment, name, f"pod {other.name}")
                    findings.unreadable.append(gap)

    async def _read_database(
        self, findings: _Findings, pod: Pod, service: Service, database: Database, wanted: bool
    ) -> None:
        environment = pod.environment
        url, identity = await self.identify(pod, service, database.name)
        if wanted:  # what is to be reset has to be dumped, too
            check_marker(identity, environment)
            await self._databases.check_direct(url, environment=environment)
        self._note_use(findings, environment, service, database, url, identity)
        if wanted:
            findings.databases.append(
                DatabaseFact(
                    service=ServiceName(service.name),
                    database=database.name,
                    key=identity.key,
                    name=identity.name,
                    tables=identity.tables,
                    size_bytes=identity.size_bytes,
                    copied_markers=tuple(mark.environment for mark in identity.markers if not mark.believed),
                    server_version=identity.server_version,
                )
            )

    async def _note_uses(self, findings: _Findings, pod: Pod, service: Service) -> None:
        """Note the databases that another pod of a service uses; one without the variables uses none by them."""
        names = [variable for each in service.databases for variable in each.variables]
        values = await self.variables(pod, names)
        for database in service.databases:
            if database.url(values) is None:
                continue
            url, identity = await self.identify(pod, service, database.name)
            self._note_use(findings, pod.environment, service, database, url, identity)

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
        findings.users[identity.key].add(environment)
        self._note_protected(findings, environment, identity.key, ServiceName(service.name), database.name)

    async def _read_migrations(
        self, findings: _Findings, slots: asyncio.Semaphore, environment: str, selection: Selection
    ) -> None:
        """List what the images of a wipe carry. Other modes leave a database that has its tables."""
        if selection.core is not CoreAction.WIPE and Mode.WIPE not in selection.modes.values():
            return
        async with asyncio.TaskGroup() as group:
            for service in selection.services:
                group.create_task(self._read_images_migrations(findings, slots, environment, service))

    async def _read_images_migrations(
        self, findings: _Findings, slots: asyncio.Semaphore, environment: str, service: Service
    ) -> None:
        name = ServiceName(service.name)
        for database in service.databases:
            if database.migrations is None:
                continue
            try:
                async with slots:
                    pod = await self._pods.choose(environment, service.selector_text, service.container)
                    ids = await image_migrations(self._pods, pod, database.migrations)
                findings.migrations.append(MigrationsFact(service=name, database=database.name, ids=ids))
            except PortError as error:
                findings.unreadable.append(
                    self._unreadable(error, environment, name, f"migrations {database.name}")
                )

    async def _read_wipes(
        self, findings: _Findings, slots: asyncio.Semaphore, environment: str, selection: Selection
    ) -> None:
        """Read what goes with each database that is wiped, and what the commands of a wipe would seed unasked."""
        planned = commands(selection)
        async with asyncio.TaskGroup() as group:
            for service, database in wiped_pairs(self._catalog, selection, planned):
                group.create_task(self._read_losses(findings, slots, environment, service, database))
            for own in selection.services:
                looked = [
                    (command, how)
                    for command in planned
                    if command.service is own
                    and (how := seed_looked_for(self._catalog, selection, planned, command)) is not None
                ]
                group.create_task(self._read_seeds(findings, slots, environment, looked))

    async def _read_losses(
        self,
        findings: _Findings,
        slots: asyncio.Semaphore,
        environment: str,
        name: ServiceName,
        database: str,
    ) -> None:
        service = self._catalog.service(name)
        at = next(
            (
                place
                for place, fact in enumerate(findings.databases)
                if (fact.service, fact.database) == (name, database)
            ),
            None,
        )
        if service is None or at is None:
            return
        try:
            async with slots:
                pod = await self._pods.choose(environment, service.selector_text, service.container)
                losses = await self.lost_by_wipe(pod, service, database)
            findings.databases[at] = findings.databases[at].model_copy(update={"losses": losses})
        except PortError as error:
            findings.unreadable.append(self._unreadable(error, environment, name, f"{LOSSES_OF}{database}"))

    async def _read_seeds(
        self,
        findings: _Findings,
        slots: asyncio.Semaphore,
        environment: str,
        looked: Sequence[tuple[Command, ConfiguredSeed]],
    ) -> None:
        """Read what the commands of one service would seed unasked; its files are read once."""
        seen: Seen = {}
        for command, how in looked:
            await self._read_seed(findings, slots, environment, command, how, seen)

    async def _read_seed(
        self,
        findings: _Findings,
        slots: asyncio.Semaphore,
        environment: str,
        command: Command,
        looked: ConfiguredSeed,
        seen: Seen,
    ) -> None:
        service = command.service
        try:
            async with slots:
                pod = await self._pods.choose(environment, service.selector_text, service.container)
                answer = await configured_seed(
                    self._pods,
                    pod,
                    command.argv,
                    declared=looked is ConfiguredSeed.REFUSE,
                    seen=seen,
                    loads=self._loads,
                )
        except PortError as error:
            findings.unreadable.append(
                self._unreadable(error, environment, command.service_name, f"{SEED_OF}{command.name}")
            )
            return
        if answer.answer is not Answer.NONE:
            findings.seeds.append(
                ConfiguredSeedFact(service=command.service_name, step=command.name, detail=answer.detail)
            )

    async def _read_sessions(
        self, findings: _Findings, slots: asyncio.Semaphore, environment: str
    ) -> tuple[SessionFact, ...]:
        names = {fact.key: fact.name for fact in findings.databases}
        found = await self._sessions.read(findings.ways, findings.users, names, slots)
        for key, error in sorted(found.unread.items()):
            gap = self._unreadable(error, environment, None, f"{UNREAD}{names[key]}")
            findings.unreadable.append(gap.model_copy(update={"protected": False}))
        return tuple(found.sessions)

    async def _read_repositories(
        self, findings: _Findings, request: ResetRequested, names: Sequence[str]
    ) -> tuple[RepositoryFact, ...]:
        client = client_of(request.environment)
        found: list[RepositoryFact] = []
        for declared in self._catalog.repositories:
            name = declared.name_for(request.environment)
            try:
                branch = await self._repositories.read(name, declared.branch)
            except PortError as error:
                findings.unreadable.append(
                    self._unreadable(error, request.environment, None, f"repository {name}")
                )
                continue
            key = ResourceKey(f"repository/{branch.owner}/{branch.repository}/{branch.branch}")
            for each in (name for name in names if client_of(name) == client):
                findings.users[key].add(each)
                self._note_protected(findings, each, key)
            found.append(
                RepositoryFact(
                    repository=name,
                    key=key,
                    owner=branch.owner,
                    branch=branch.branch,
                    head=branch.head,
                    root=branch.root,
                    warnings=branch.warnings,
                    identity=branch.identity,
                    refusals=branch.refusals,
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
        if is_protected_kind(kind_of(environment), self._catalog):
            findings.uses.append(
                ProtectedUse(environment=environment, service=service, database=database, key=key)
            )

    def _unreadable(
        self, error: PortError, environment: str, service: ServiceName | None, subject: str
    ) -> Unreadable:
        return Unreadable(
            environment=environment,
            service=service,
            subject=subject,
            reason=error.reason,
            detail=error.detail,
            protected=is_protected_kind(kind_of(environment), self._catalog),
            temporary=isinstance(error, TemporaryError),
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
