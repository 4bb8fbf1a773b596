"""Which commands a selection leads to, in the pipeline's order, before anything is known of the world."""

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
    """One step of the catalog that belongs to the plan, with its placeholders filled."""

    service: Service
    entry: StepEntry
    name: str
    argv: tuple[str, ...]
    databases: tuple[str, ...]
    """Names in the catalog of what it writes to."""

    @property
    def service_name(self) -> ServiceName:
        """The service whose pod runs it."""
        return ServiceName(self.service.name)

    @property
    def destructive(self) -> bool:
        """Whether it changes data that only the backup could bring back."""
        return self.entry.destructive if self.entry.destructive is not None else bool(self.databases)


@dataclass(frozen=True)
class Verification:
    """One command of the catalog that has to pass at the end of the plan; it changes nothing."""

    service: Service
    entry: VerifyEntry
    name: str
    databases: tuple[str, ...]


def commands(selection: Selection) -> tuple[Command, ...]:
    """All commands: first what migrates core, service by service, then each service's own migration and seed."""
    return tuple(
        command
        for phase in StepPhase
        for service in selection.services
        for entry in service.steps[selection.modes[ServiceName(service.name)]]
        if entry.phase is phase and holds(entry.when, selection)
        for command in _expand(service, entry, selection.integrations)
    )


def verifications(selection: Selection) -> tuple[Verification, ...]:
    """All verifications of the services in the plan."""
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
    """Whether all conditions hold."""
    return selection.conditions.issuperset(when)


def written(planned: Iterable[Command]) -> tuple[tuple[ServiceName, str], ...]:
    """Each (service, database) that a command writes to, in the order of the first one."""
    return tuple(dict.fromkeys((one.service_name, database) for one in planned for database in one.databases))


def failures_of(catalog: Catalog, sets: Iterable[str]) -> tuple[Failure, ...]:
    """Known failures out of the named sets, each set once, in that order."""
    return tuple(failure for name in dict.fromkeys(sets) for failure in catalog.failures[name])


def _expand(service: Service, entry: StepEntry, integrations: tuple[str, ...]) -> Iterator[Command]:
    name = f"{entry.phase.value}.{entry.target or service.name}.{entry.name}"
    databases = _databases(service, entry.databases)
    if entry.for_each is None:
        yield Command(service, entry, name, entry.argv, databases)
        return
    for integration in integrations:
        # The whole argument is replaced, never a part of one: a name can't become text of a command.
        argv = tuple(integration if argument == INTEGRATION else argument for argument in entry.argv)
        yield Command(service, entry, f"{name}-{integration}", argv, databases)


def _databases(service: Service, named: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(one.name for one in service.databases) if named is None else named
