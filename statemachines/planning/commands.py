"""The commands that a selection leads to, in the pipeline's order. They need no facts of the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas.catalog.catalog import Catalog, Service
from schemas.catalog.steps import INTEGRATION, Condition, StepEntry, StepPhase, VerifyEntry
from schemas.plan import Failure
from schemas.wire import ServiceName
from statemachines.planning.selection import Selection


@dataclass(frozen=True)
class Command:
    """A step of the catalog that belongs to the plan, with its placeholders filled in."""

    service: Service
    entry: StepEntry
    name: str
    argv: tuple[str, ...]
    databases: tuple[str, ...]
    """The catalog's names of the databases that it writes to."""

    @property
    def service_name(self) -> ServiceName:
        """The service whose pod runs the command."""
        return ServiceName(self.service.name)

    @property
    def destructive(self) -> bool:
        """Whether the command changes data that only a backup brings back."""
        return self.entry.destructive if self.entry.destructive is not None else bool(self.databases)


@dataclass(frozen=True)
class Verification:
    """One command of the catalog that has to pass at the end of the plan; it changes nothing."""

    service: Service
    entry: VerifyEntry
    name: str
    databases: tuple[str, ...]


def commands(selection: Selection) -> tuple[Command, ...]:
    """List all commands in order: first what migrates core, then each service's own migration and seed."""
    return tuple(
        command
        for phase in StepPhase
        for service in selection.services
        for entry in service.steps[selection.modes[ServiceName(service.name)]]
        if entry.phase is phase and holds(entry.when, selection)
        for command in _expand(service, entry, selection.integrations)
    )


def verifications(selection: Selection) -> tuple[Verification, ...]:
    """List all verifications of the services in the plan."""
    return tuple(
        Verification(
            service=service,
            entry=entry,
            name=".".join(filter(None, ("verify", service.name, entry.name))),
            databases=_databases(service, entry.databases),
        )
        for service in selection.services
        for entry in service.verify
        if holds(entry.when, selection)
    )


def holds(when: Iterable[Condition], selection: Selection) -> bool:
    """Whether all these conditions hold."""
    return selection.conditions.issuperset(when)


def written(planned: Iterable[Command]) -> tuple[tuple[ServiceName, str], ...]:
    """List each (service, database) that a command writes to once, in the order of the commands."""
    return tuple(
        dict.fromkeys(
            (command.service_name, database) for command in planned for database in command.databases
        )
    )


def failures_of(catalog: Catalog, sets: Iterable[str]) -> tuple[Failure, ...]:
    """List the known failures of the named sets, in the order of the names, each set once."""
    return tuple(failure for name in dict.fromkeys(sets) for failure in catalog.failures[name])


def _expand(service: Service, entry: StepEntry, integrations: tuple[str, ...]) -> Iterator[Command]:
    name = f"{entry.phase.value}.{entry.target or service.name}.{entry.name}"
    databases = _databases(service, entry.databases)
    if entry.for_each is None:
        yield Command(service, entry, name, entry.argv, databases)
        return
    for integration in integrations:
        # Only whole arguments are replaced, so that the name of an integration cannot become text of a command.
        argv = tuple(integration if argument == INTEGRATION else argument for argument in entry.argv)
        yield Command(service, entry, f"{name}-{integration}", argv, databases)


def _databases(service: Service, named: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(database.name for database in service.databases) if named is None else named
