"""The checks of a plan: what the daemon has to see itself after each command, before a wipe, and at the end."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.catalog.catalog import Catalog, Service
from schemas.checks import CheckEntry, LearnedCheck, PlannedCheck, TableName
from schemas.plan import Phase, PlannedStep, StepKind
from schemas.wire import ServiceName, StepName
from statemachines.planning.case import Case
from statemachines.planning.commands import Command, written
from statemachines.planning.wipes import wiped_pairs
from statemachines.steps.database_checks import ledger_of

VERIFY_TIMEOUT = 120.0
"""Seconds."""


def checks_after(case: Case, command: Command) -> tuple[PlannedCheck, ...]:
    """What has to be seen once the command ended well."""
    return (*_migrations_after(case, command), *_own_checks(case, command))


def launch_needs(case: Case, command: Command) -> tuple[PlannedCheck, ...]:
    """The migrations that the image has to show before this command of a wipe is launched."""
    if not command.destructive:
        return ()
    wiped = set(wiped_pairs(case.catalog, case.selection, case.commands))
    pairs = ((command.service_name, database) for database in command.databases)
    return tuple(check for pair in pairs if pair in wiped for check in _migrations(case, *pair))


def verifications_by_daemon(case: Case) -> Iterator[PlannedStep]:
    """Plan the daemon's own verifications of each service: its migrations, and the rows that its steps promised."""
    for service in case.selection.services:
        name = ServiceName(service.name)
        mine = [command for command in case.commands if command.service is service]
        pairs = written(mine)
        migrations = tuple(check for pair in pairs for check in _migrations(case, *pair))
        promised = tuple(
            dict.fromkeys(
                check
                for command in mine
                for check in _own_checks(case, command)
                if check.rows or check.learned
            )
        )
        for kind, checks in (("migrations", migrations), ("rows", promised)):
            if checks:
                yield PlannedStep(
                    name=StepName(f"verify.{name}.{kind}"),
                    phase=Phase.VERIFY,
                    kind=StepKind.CHECK_DATABASE,
                    batch=0,
                    service=name,
                    touches=tuple(dict.fromkeys(check.resource for check in checks)),
                    timeout=VERIFY_TIMEOUT,
                    run_in=case.place(name),
                    checks=checks,
                )


def _migrations_after(case: Case, command: Command) -> Iterator[PlannedCheck]:
    entry = command.entry
    if entry.migrated if entry.migrated is not None else entry.repeat_until is None:
        for database in command.databases:
            yield from _migrations(case, command.service_name, database)


def _migrations(case: Case, service: ServiceName, database: str) -> Iterator[PlannedCheck]:
    entry = case.catalog.service(service)
    declared = entry.database(database) if entry else None
    fact = case.database(service, database)
    if declared is not None and declared.migrations is not None and fact is not None:
        yield PlannedCheck(database=database, resource=fact.key, migrations=declared.migrations)


def _own_checks(case: Case, command: Command) -> Iterator[PlannedCheck]:
    wiped = set(wiped_pairs(case.catalog, case.selection, case.commands))
    for entry in command.entry.checks:
        database = entry.database or command.databases[0]
        fact = case.database(command.service_name, database)
        if fact is not None:
            yield PlannedCheck(
                database=database,
                resource=fact.key,
                rows=entry.rows,
                unchanged=entry.unchanged,
                learned=LearnedCheck(emptied=(command.service_name, database) in wiped)
                if entry.learned
                else None,
                ledgers=_ledgers_of(case, command, entry, database),
            )


def _ledgers_of(case: Case, command: Command, entry: CheckEntry, database: str) -> tuple[TableName, ...]:
    """The ledgers of the database where the check may meet one of them."""
    found = ledgers(case.catalog, command.service, database)
    if entry.learned or (entry.rows is not None and entry.rows.any_table):
        return found
    named = {table.rpartition(".")[2] for table in (entry.rows.table if entry.rows else None) or ()}
    return found if named & {table.rpartition(".")[2] for table in found} else ()


def ledgers(catalog: Catalog, service: Service, database: str) -> tuple[TableName, ...]:
    """List the tables that are ledgers of that database for any service that reaches it, each once."""
    found = (
        table
        for each in (service, *catalog.services)
        if (declared := each.database(database)) is not None and declared.migrations is not None
        for table in ledger_of(declared.migrations).table
    )
    return tuple(dict.fromkeys(found))
