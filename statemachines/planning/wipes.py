"""What a plan wipes: which databases, by which command, and what else goes with them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from schemas.catalog.catalog import Catalog, Database
from schemas.checks import KnownLedger
from schemas.facts import DatabaseFact
from schemas.plan import ConfiguredSeed, WipedDatabase
from schemas.requests import Mode
from schemas.wire import ResourceKey, ServiceName
from statemachines.planning.case import Case
from statemachines.planning.commands import Command, written
from statemachines.planning.selection import CoreAction, Selection

SEED_HINT = (
    "Give Prisma `--skip-seed` in the command or its npm script (Prisma 6), take the seed out of the configuration, or "
    "say `configuredSeed: allow` for the step in the catalog."
)
LOSS_HINT = (
    "Move an extension to a schema of its own (ALTER EXTENSION ... SET SCHEMA), move the objects and grants of others "
    "out of the schema, or put them back by a migration; list under `knownLosses` of the database what may be lost."
)
_RESETS = re.compile(r"\bmigrate[ -]+(reset|dev)\b")


def wiped_pairs(
    catalog: Catalog, selection: Selection, commands: Iterable[Command]
) -> tuple[tuple[ServiceName, str], ...]:
    """List each (service, database) that the plan empties and migrates anew."""
    core = catalog.core
    core_wiped = core is not None and selection.core is CoreAction.WIPE
    return tuple(
        (service, database)
        for service, database in written(commands)
        if (core_wiped if core and database == core.database else selection.modes[service] is Mode.WIPE)
    )


def drops_schema(declared: Database) -> bool:
    """Tell whether a wipe drops the schema itself, as Prisma's does. TypeORM undoes its migrations one by one."""
    return declared.migrations is None or declared.migrations.ledger is not KnownLedger.TYPEORM


def wiped_by(case: Case, command: Command) -> tuple[WipedDatabase, ...]:
    """List the databases that this command empties: the first one of the plan that writes to a wiped database."""
    first: dict[ResourceKey, Command] = {}
    pairs = set(wiped_pairs(case.catalog, case.selection, case.commands))
    for each in case.commands:
        for database in each.databases:
            fact = case.database(each.service_name, database)
            if each.destructive and fact is not None and (each.service_name, database) in pairs:
                first.setdefault(fact.key, each)
    found: dict[ResourceKey, WipedDatabase] = {}
    for database in command.databases:
        fact, declared = case.database(command.service_name, database), command.service.database(database)
        if fact is not None and declared is not None and first.get(fact.key) is command:
            found[fact.key] = WipedDatabase(
                database=database, resource=fact.key, whole=drops_schema(declared), losses=fact.losses
            )
    return tuple(found.values())


def unknown_losses(declared: Database, fact: DatabaseFact) -> tuple[str, ...]:
    """Name what is lost for good with the database and is not listed in the catalog."""
    return tuple(
        loss.name for loss in fact.losses if loss.for_good and loss.name not in declared.known_losses
    )


def is_reset(argv: Iterable[str]) -> bool:
    """Tell whether a command's own text names Prisma's reset, or a script that is called so."""
    return _RESETS.search(" ".join(argv)) is not None


def seed_looked_for(
    catalog: Catalog, selection: Selection, commands: Iterable[Command], command: Command
) -> ConfiguredSeed | None:
    """Say how the image is asked for a seed that the command would run unasked; None: it is not asked."""
    entry = command.entry
    if entry.configured_seed is ConfiguredSeed.ALLOW or not command.destructive:
        return None
    if entry.configured_seed is ConfiguredSeed.REFUSE or is_reset(command.argv):
        return entry.configured_seed
    wiped = set(wiped_pairs(catalog, selection, commands))
    declared = (command.service.database(name) for name in command.databases)
    prisma = any(
        each is not None and (command.service_name, each.name) in wiped and drops_schema(each)
        for each in declared
    )
    return entry.configured_seed if prisma else None


def seed_text(step: str, detail: str) -> str:
    """Say for people which step would seed unasked, and the next step."""
    return f"{step} would run a seed that nobody asked for, or may: {detail}. {SEED_HINT}"


def loss_text(database: str, names: Iterable[str]) -> str:
    """Say for people what would be lost, and the next step."""
    return f"a wipe of {database} takes for good: {', '.join(names)}. {LOSS_HINT}"
