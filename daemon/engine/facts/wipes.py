"""Reads what a wipe depends on: the migrations of images, what goes with a database, and seeds nobody asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from daemon.engine.facts.image_migrations import image_migrations
from daemon.engine.facts.image_seeds import Loads, Seen, configured_seed
from daemon.ports.errors import PortError
from daemon.ports.pods.cluster import Cluster, Pod
from schemas.catalog.catalog import Catalog, Service
from schemas.facts import ConfiguredSeedFact, Loss, MigrationsFact
from schemas.plan import ConfiguredSeed
from schemas.requests import Mode
from schemas.wire import ServiceName
from statemachines.planning.commands import Command, commands
from statemachines.planning.gaps import LOSSES_OF, MIGRATIONS_OF, SEED_OF
from statemachines.planning.selection import CoreAction, Selection
from statemachines.planning.wipes import seed_looked_for, wiped_pairs
from statemachines.steps.tool_seeds import Answer

ReadLosses = Callable[[Pod, Service, str], Awaitable[tuple[Loss, ...]]]
"""What goes with a database of a service when that is wiped, as its pod reaches it. Raises PortError."""


@dataclass(frozen=True)
class Unread:
    """Something of a service that could not be read."""

    service: ServiceName
    subject: str
    error: PortError


@dataclass
class WipeFindings:
    """What was read, and what could not be."""

    migrations: list[MigrationsFact] = field(default_factory=list)
    seeds: list[ConfiguredSeedFact] = field(default_factory=list)
    losses: dict[tuple[ServiceName, str], tuple[Loss, ...]] = field(default_factory=dict)
    """(service, the catalog's name of the database) -> what goes with it."""
    unread: list[Unread] = field(default_factory=list)


class WipeReader:
    """Reads it through the cluster, and through whoever reads losses.

    What a tool's loader made of a configuration is kept for the next plan. Whether it still holds is looked at right
    before the wipe (`daemon.engine.steps.wipe_checks`).
    """

    def __init__(self, cluster: Cluster, catalog: Catalog, losses: ReadLosses) -> None:
        self._cluster = cluster
        self._catalog = catalog
        self._losses = losses
        self._loads: Loads = {}

    async def read(
        self,
        environment: str,
        selection: Selection,
        identified: Collection[tuple[ServiceName, str]],
        pods: Mapping[ServiceName, Pod],
        slots: asyncio.Semaphore,
    ) -> WipeFindings:
        """Read what the wipes of the selection depend on; nothing where nothing is wiped.

        Args:
            environment: Whose services they are.
            selection: What is asked for.
            identified: The databases (service and the catalog's name) of which it is known where they are.
            pods: The pods that were chosen already.
            slots: How much is read at the same time.
        """
        reading = _Reading(self._cluster, environment, pods, slots)
        planned = commands(selection)
        async with asyncio.TaskGroup() as group:
            # Other modes leave a database that has its tables.
            if selection.core is CoreAction.WIPE or Mode.WIPE in selection.modes.values():
                for service in selection.services:
                    group.create_task(reading.migrations(service))
            for name, database in wiped_pairs(self._catalog, selection, planned):
                wiped = self._catalog.service(name)
                if wiped is not None and (name, database) in identified:
                    group.create_task(reading.losses(wiped, database, self._losses))
            for own in selection.services:
                looked = [
                    (command, how)
                    for command in planned
                    if command.service is own
                    and (how := seed_looked_for(self._catalog, selection, planned, command)) is not None
                ]
                group.create_task(reading.seeds(looked, self._loads))
        return reading.findings


class _Reading:
    """One reading of one environment."""

    def __init__(
        self, cluster: Cluster, environment: str, pods: Mapping[ServiceName, Pod], slots: asyncio.Semaphore
    ) -> None:
        self._cluster = cluster
        self._environment = environment
        self._pods = pods
        self._slots = slots
        self.findings = WipeFindings()

    async def migrations(self, service: Service) -> None:
        """List what the service's image carries for each of its databases."""
        name = ServiceName(service.name)
        for database in service.databases:
            if database.migrations is None:
                continue
            try:
                async with self._slots:
                    pod = await self._pod(service)
                    ids = await image_migrations(self._cluster, pod, database.migrations)
            except PortError as error:
                self._note(name, f"{MIGRATIONS_OF}{database.name}", error)
                continue
            self.findings.migrations.append(MigrationsFact(service=name, database=database.name, ids=ids))

    async def losses(self, service: Service, database: str, read: ReadLosses) -> None:
        """Read what goes with a database."""
        name = ServiceName(service.name)
        try:
            async with self._slots:
                self.findings.losses[name, database] = await read(await self._pod(service), service, database)
        except PortError as error:
            self._note(name, f"{LOSSES_OF}{database}", error)

    async def seeds(self, looked: Sequence[tuple[Command, ConfiguredSeed]], loads: Loads) -> None:
        """Read what the commands of one service would seed unasked; its files are read once."""
        seen: Seen = {}
        for command, how in looked:
            await self._seed(command, how, seen, loads)

    async def _seed(self, command: Command, looked: ConfiguredSeed, seen: Seen, loads: Loads) -> None:
        try:
            async with self._slots:
                answer = await configured_seed(
                    self._cluster,
                    await self._pod(command.service),
                    command.argv,
                    declared=looked is ConfiguredSeed.REFUSE,
                    seen=seen,
                    loads=loads,
                )
        except PortError as error:
            self._note(command.service_name, f"{SEED_OF}{command.name}", error)
            return
        if answer.answer is not Answer.NONE:
            self.findings.seeds.append(
                ConfiguredSeedFact(service=command.service_name, step=command.name, detail=answer.detail)
            )

    async def _pod(self, service: Service) -> Pod:
        """The pod that was chosen for the service, or one that is chosen now."""
        chosen = self._pods.get(ServiceName(service.name))
        return chosen or await self._cluster.choose(
            self._environment, service.selector_text, service.container
        )

    def _note(self, service: ServiceName, subject: str, error: PortError) -> None:
        self.findings.unread.append(Unread(service, subject, error))
