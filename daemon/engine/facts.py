"""Reads the world before a plan is made: pods, databases as the pods reach them, repositories, who shares what.

A fact that could not be read is listed as unreadable, with whether its environment is protected. The planner decides
what that means.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from daemon.engine.image_migrations import image_migrations
from daemon.ports.databases import Databases, Identity
from daemon.ports.errors import PermanentError, PortError, TemporaryError
from daemon.ports.pods.cluster import Pod
from daemon.ports.pods.pods import Pods
from daemon.ports.repositories import Repositories
from daemon.ports.store.store import Store
from schemas.catalog.catalog import Catalog, Service
from schemas.facts import DatabaseFact, Facts, MigrationsFact, RepositoryFact, ServiceFact, Unreadable
from schemas.reasons import Reason
from schemas.requests import Mode, ResetRequested
from schemas.wire import ResourceKey, ServiceName, client_of, kind_of
from statemachines.planning.protection import is_protected_kind
from statemachines.planning.selection import CoreAction, select

READS_AT_ONCE = 8
"""Pods and databases that are read at the same time."""
REMEMBERED = 1000
"""Containers whose variables are kept."""
RESERVED = "kube-"
"""Namespaces of this prefix are Kubernetes' own (Kubernetes documentation, Namespaces)."""


@dataclass
class _Findings:
    services: list[ServiceFact] = field(default_factory=list)
    databases: list[DatabaseFact] = field(default_factory=list)
    migrations: list[MigrationsFact] = field(default_factory=list)
    users: dict[ResourceKey, set[str]] = field(default_factory=lambda: defaultdict(set))
    unreadable: list[Unreadable] = field(default_factory=list)


class FactsReader:
    """Reads facts through ports.

    The variables of a container stay the same while it runs. They are read once for each container: most of the time
    that reading facts takes is the exec that reads them.
    """

    def __init__(
        self, pods: Pods, databases: Databases, repositories: Repositories, store: Store, catalog: Catalog
    ) -> None:
        self._pods = pods
        self._databases = databases
        self._repositories = repositories
        self._store = store
        self._catalog = catalog
        self._variables: dict[tuple[str, str], Mapping[str, str]] = {}

    async def read(self, request: ResetRequested) -> Facts:
        """Read all that a plan for this request depends on.

        Raises:
            PortError: the cluster itself or the state database can't be asked.
        """
        environment = request.environment
        # Namespaces of undeclared kinds are read as well: one that runs these services may use the same databases.
        names = [name for name in await self._pods.environments() if not name.startswith(RESERVED)]
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
        await self._read_migrations(findings, request)
        repositories = await self._read_repositories(findings, request, names)
        return Facts(
            environment=environment,
            exists=True,
            services=tuple(sorted(findings.services, key=lambda fact: fact.service)),
            databases=tuple(sorted(findings.databases, key=lambda fact: (fact.service, fact.database))),
            repositories=repositories,
            migrations=tuple(sorted(findings.migrations, key=lambda fact: (fact.service, fact.database))),
            users={key: tuple(sorted(findings.users[key])) for key in sorted(findings.users)},
            remembered_protected=tuple(sorted(await self._store.protected())),
            unreadable=tuple(sorted(findings.unreadable, key=lambda fact: (fact.environment, fact.subject))),
        )

    async def variables(self, pod: Pod, names: Sequence[str]) -> Mapping[str, str]:
        """The values of the container's variables."""
        key = (pod.uid, pod.container_id)
        if key not in self._variables:
            self._variables[key] = await self._pods.variables(pod, names)
            while len(self._variables) > REMEMBERED:
                del self._variables[next(iter(self._variables))]
        return self._variables[key]

    async def identify(self, pod: Pod, service: Service, database: str) -> tuple[str, Identity]:
        """The connection string of a service's database as its pod has it, and who answers there.

        Raises:
            PortError: it could not be read or reached.
        """
        url = await self.url(pod, service, database)
        return url, await self._databases.identify(url, environment=pod.environment)

    async def url(self, pod: Pod, service: Service, database: str) -> str:
        """The connection string of a service's database as its pod has it: a secret.

        Raises:
            PortError: it could not be read.
        """
        declared = next((each for each in service.databases if each.name == database), None)
        if declared is None:
            detail = f"the catalog has no database {database} of {service.name} any more"
            raise PermanentError(Reason.DATABASE_UNIDENTIFIED, detail)
        names = [variable for each in service.databases for variable in each.variables]
        values = await self.variables(pod, names)
        url = declared.url(values)
        if url is None:
            detail = f"{service.name} has no {' / '.join(declared.variables)} in its environment"
            raise PermanentError(Reason.DATABASE_UNIDENTIFIED, detail)
        return url

    async def _read_namespace(
        self,
        group: asyncio.TaskGroup,
        findings: _Findings,
        slots: asyncio.Semaphore,
        environment: str,
        wanted: set[str],
    ) -> None:
        async with slots:
            selectors = [service.selector_text for service in self._catalog.services]
            consumers = await self._pods.consumers(environment, selectors)
        for service in self._catalog.services:
            # Other environments are asked only about the services that they run.
            if service.name in wanted or service.selector_text in consumers:
                group.create_task(
                    self._read_service(
                        findings, slots, environment, service, service.name in wanted, consumers
                    )
                )

    async def _read_service(
        self,
        findings: _Findings,
        slots: asyncio.Semaphore,
        environment: str,
        service: Service,
        wanted: bool,
        consumers: Mapping[str, int],
    ) -> None:
        subject = "pods"
        try:
            async with slots:
                pod = await self._pods.choose(environment, service.selector_text, service.container)
                if wanted:
                    findings.services.append(
                        ServiceFact(
                            service=ServiceName(service.name),
                            image_digest=pod.image_digest,
                            pod=pod.name,
                            consumers=consumers.get(service.selector_text, 0),
                        )
                    )
                for database in service.databases:
                    subject = f"database {database.name}"
                    _, identity = await self.identify(pod, service, database.name)
                    findings.users[identity.key].add(environment)
                    if wanted:
                        findings.databases.append(
                            DatabaseFact(
                                service=ServiceName(service.name),
                                database=database.name,
                                key=identity.key,
                                name=identity.name,
                                tables=identity.tables,
                                size_bytes=identity.size_bytes,
                                server_version=identity.server_version,
                            )
                        )
        except PortError as error:
            findings.unreadable.append(
                self._unreadable(error, environment, ServiceName(service.name), subject)
            )

    async def _read_migrations(self, findings: _Findings, request: ResetRequested) -> None:
        """List what the images of a wipe carry. Other modes leave a database that has its tables."""
        selection = select(request, self._catalog)
        if selection.core is not CoreAction.WIPE and Mode.WIPE not in selection.modes.values():
            return
        slots = asyncio.Semaphore(READS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for service in selection.services:
                group.create_task(self._read_images_migrations(findings, slots, request.environment, service))

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
            findings.users[key].update(each for each in names if client_of(each) == client)
            found.append(
                RepositoryFact(
                    repository=name,
                    key=key,
                    owner=branch.owner,
                    branch=branch.branch,
                    head=branch.head,
                    root=branch.root,
                    warnings=branch.warnings,
                )
            )
        return tuple(found)

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


def _first(errors: BaseExceptionGroup[PortError]) -> PortError:
    """One of the errors that the tasks ended with."""
    for error in errors.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")
