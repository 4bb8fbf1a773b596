"""The guide's warnings, each carried by the plans that it applies to. They are for people and never hashed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.catalog.steps import Condition
from schemas.plan import ConfiguredSeed
from schemas.protection import DATABASE_KEY, Assurance, WordKind
from schemas.reasons import Reason
from schemas.requests import Mode, Option
from schemas.wire import ServiceName, kind_of
from statemachines.planning.backups import restored_where
from statemachines.planning.case import Case
from statemachines.planning.commands import Command, written
from statemachines.planning.protection import ANY_KIND, protection_of
from statemachines.planning.quiescing import down, maybe_consumers
from statemachines.planning.repositories import workflow_repositories
from statemachines.planning.selection import CoreAction
from statemachines.planning.sessions import databases_of, text, unknown_sessions, unread_sessions
from statemachines.planning.wipes import drops_schema, wiped_by, wiped_pairs

NAMED = 10
"""Namespaces that could not be looked into, and are named."""

Warn = Callable[[Case], Iterator[str]]


def core_is_shared(case: Case) -> Iterator[str]:
    """Say that a reset of the core schema affects both of its services."""
    core = case.catalog.core
    if core is None or case.selection.core is CoreAction.NONE:
        return
    done = "wiped" if case.selection.core is CoreAction.WIPE else "migrated"
    others = [name for name in (core.migrator, core.owner) if not case.selection.has(name)]
    absent = f", also for {others[0]}, which is not in this plan" if others else ""
    yield f"The core schema is shared by {core.migrator} and {core.owner}; it is {done} once for both{absent}."


def only_own_schema(case: Case) -> Iterator[str]:
    """Say that the migrator without core resets its own schema alone."""
    core = case.catalog.core
    if core is None or case.selection.core is not CoreAction.NONE:
        return
    mode = case.selection.modes.get(ServiceName(core.migrator))
    if mode in {Mode.WIPE, Mode.REFRESH}:
        yield f"{core.migrator} resets its own schema only; the core schema stays as it is."


def production(case: Case) -> Iterator[str]:
    """Ask people to check a protected environment before they approve."""
    kind = case.catalog.kinds[kind_of(case.environment)]
    if kind.protected:
        yield f"{case.environment} is of the protected kind {kind_of(case.environment)}: check it before you approve."


def shared_resources(case: Case) -> Iterator[str]:
    """Name the other environments that use a database of the plan, for which it changes as well."""
    facts = {fact.key: fact.name for pair in written(case.commands) if (fact := case.database(*pair))}
    for key, name in sorted(facts.items()):
        others = [user for user in case.facts.users.get(key, ()) if user != case.environment]
        if others:
            yield f"The database {name} is also used by {', '.join(others)}."
        elif protection_of(key, case.facts, case.catalog).kinds == (ANY_KIND,):
            yield f"The database {name} was once seen in use by a protected environment."


def used_elsewhere(case: Case) -> Iterator[str]:
    """Name the environments of other clusters that use a resource of the plan. Nobody there can be looked at."""
    for key in case.touched():
        if others := [entry.label for entry in case.catalog.elsewhere if entry.uses(key)]:
            yield f"{key} is also used by {', '.join(others)}, as the catalog says; resetd can't look there."


def copied_markers(case: Case) -> Iterator[str]:
    """Tell of databases whose markers were made for another one."""
    for database in databases_of(case):
        if names := ", ".join(database.copied_markers):
            yield f"{database.name} has a marker of another database ({names}), which is not believed: it is a copy."


def foreign_sessions(case: Case) -> Iterator[str]:
    """Tell of sessions in the plan's databases that come from no known pod."""
    for database in databases_of(case):
        told = [text(session) for session in unknown_sessions(case, database)]
        yield from (
            f"{database.name} has a session of {each}; it is of no known pod." for each in dict.fromkeys(told)
        )
        if gap := unread_sessions(case, database):
            yield f"Who else is connected to {database.name} could not be read: {gap.detail}."


def assurances(case: Case) -> Iterator[str]:
    """Say on whose word the plan goes, about what, and until when."""
    for word in case.assurances:
        until = f"{word.expires_at:%Y-%m-%d %H:%M} UTC"
        memory = "; ".join(_remembered(word))
        if word.kind is WordKind.FORGET:
            what = f"what is remembered of {word.scope.text} is true no more ({memory})"
        elif word.uses is None:
            what = f"{word.scope.text} uses what is remembered of it ({memory})"
        else:
            what = f"{word.scope.text} uses {', '.join(word.uses) or 'none of these databases'}"
        yield f"Nobody looked: {word.given_by} says until {until} that {what} ({word.reason})."


def doubtful_words(case: Case) -> Iterator[str]:
    """Name databases that a word says are in use and that nobody sees or remembers: one may be misspelt."""
    facts = case.facts
    known = {*facts.users, *(use.key for use in facts.remembered)}
    for word in case.assurances:
        for key in word.uses or ():
            if key in known or any(entry.uses(key) for entry in case.catalog.elsewhere):
                continue
            databases = [resource for resource in case.touched() if resource.startswith(DATABASE_KEY)]
            yield (
                f"Nobody sees or remembers {key}, which the word of {word.given_by} names: compare it with what this "
                f"plan touches ({', '.join(databases) or 'no database'})."
            )


def _remembered(word: Assurance) -> Iterator[str]:
    """Write the uses that a word is about as memory has them."""
    for use in word.remembered:
        place = " ".join(filter(None, (use.service, use.database)))
        yield f"{place}: {use.key}" if place else use.key


def absent_services(case: Case) -> Iterator[str]:
    """Name the services that protected environments do not have, as the catalog says and nobody sees."""
    absent: dict[str, list[str]] = {}
    for each in case.facts.absent:
        absent.setdefault(each.environment, []).append(each.service)
    for environment, services in absent.items():
        yield f"{environment} shows no {', '.join(services)}; the catalog says that it has none."


def unread_namespaces(case: Case) -> Iterator[str]:
    """Name the namespaces that could not be looked into and count as no environments."""
    gaps = [gap for gap in case.facts.unreadable if not gap.protected and gap.service is None]
    forbidden = [
        gap for gap in gaps if gap.reason is Reason.KUBERNETES_FORBIDDEN and gap.subject == "workloads"
    ]
    for environment in dict.fromkeys(gap.environment for gap in forbidden[:NAMED]):
        why = next(gap.detail for gap in forbidden if gap.environment == environment)
        yield f"{environment} is not looked into, and counts as no user of these databases: {why}"
    if more := len({gap.environment for gap in forbidden[NAMED:]}):
        yield f"{more} more namespaces are not looked into, and count as no users of these databases."
    for gap in gaps:
        if gap.reason is Reason.SERVICE_UNSEEN:
            yield f"{gap.environment}: {gap.detail}."


def unexpected_database(case: Case) -> Iterator[str]:
    """Name a service that uses another database than the guide's table says."""
    kind = kind_of(case.environment)
    for service, database in written(case.commands):
        entry = case.catalog.service(service)
        declared = entry.database(database) if entry else None
        fact = case.database(service, database)
        expected = declared.names.get(kind) if declared else None
        if fact is not None and expected is not None and fact.name != expected:
            yield f"{service} uses {fact.name} as {database}; a {kind} is expected to use {expected}."


def user_data(case: Case) -> Iterator[str]:
    """Say what becomes of the mappings and credentials that users entered."""
    for service in case.selection.services:
        if Option.KEEP_USER_DATA not in service.options:
            continue
        mode = case.selection.modes[ServiceName(service.name)]
        mine = [command for command in case.commands if command.service is service]
        if mode is Mode.WIPE or any(Condition.NO_KEEP_USER_DATA in command.entry.when for command in mine):
            yield (
                f"{service.name} loses its user data (mappings, credentials): the tables are emptied and reseeded. "
                "The option keep-user-data with mode refresh keeps it."
            )
        else:
            yield f"{service.name} keeps its user data (mappings, credentials)."


def wiped_tables(case: Case) -> Iterator[str]:
    """Say which tables are dropped: all of them with their schema, or those that the tool's own migrations made."""
    dropped, undone = set[str](), set[str]()
    for service, database in wiped_pairs(case.catalog, case.selection, case.commands):
        declared = case.catalog.service(service)
        found = declared.database(database) if declared else None
        (dropped if found is None or drops_schema(found) else undone).add(service)
    wiped = [name for name, mode in case.selection.modes.items() if mode is Mode.WIPE]
    # A service without a database of its own is wiped by the one whose schema it shares.
    whole = [name for name in wiped if name in dropped or name not in undone]
    if whole:
        yield (
            f"All tables of {', '.join(whole)} are dropped and made anew, also those that people made themselves; "
            "every database is backed up first."
        )
    if parts := [name for name in wiped if name in undone]:
        yield (
            f"The migrations of {', '.join(parts)} are undone and applied anew: the tables that they made are dropped. "
            "Tables that people made themselves stay, with their rows, unless a migration drops them; "
            "every database is backed up first."
        )


def seed_only(case: Case) -> Iterator[str]:
    """Say that a seed fails on a database with pending migrations."""
    seeded = [name for name, mode in case.selection.modes.items() if mode is Mode.SEED]
    if seeded:
        yield f"Mode seed assumes the tables of {', '.join(seeded)} exist: it fails where migrations are pending."


def mock_data(case: Case) -> Iterator[str]:
    """Say that mock data is for testing environments."""
    if Option.MOCK in case.selection.options:
        yield "Mock data is seeded after the system data: for testing environments only."


def one_revert_at_a_time(case: Case) -> Iterator[str]:
    """Say that a revert undoes one migration and is repeated until none is left."""
    for command in _repeated(case):
        yield f"{command.name} undoes one migration at a time and is repeated until nothing is left to revert."


def lost_by_wipe(case: Case) -> Iterator[str]:
    """Name what goes with a wiped database beside its tables, and what has to be made again by the migrations."""
    for command in case.commands:
        for wiped in wiped_by(case, command):
            fact = case.database(command.service_name, wiped.database)
            assert fact is not None
            known = [loss.name for loss in wiped.losses if loss.for_good]
            again = [loss.name for loss in wiped.losses if not loss.for_good]
            if known:
                yield f"The wipe of {fact.name} takes for good, as the catalog allows: {', '.join(known)}."
            if again:
                yield f"The wipe of {fact.name} takes {', '.join(again)}: its migrations have to make that again."


def allowed_seeds(case: Case) -> Iterator[str]:
    """Name the steps that may run a seed which the image configures for its migration tool."""
    for command in case.commands:
        if command.entry.configured_seed is ConfiguredSeed.ALLOW:
            yield f"{command.name} also runs the seed that its image configures for Prisma, where it has one."


WARNINGS: tuple[Warn, ...] = (
    production,
    down,
    maybe_consumers,
    core_is_shared,
    only_own_schema,
    shared_resources,
    absent_services,
    unread_namespaces,
    used_elsewhere,
    copied_markers,
    assurances,
    doubtful_words,
    foreign_sessions,
    unexpected_database,
    restored_where,
    wiped_tables,
    lost_by_wipe,
    allowed_seeds,
    user_data,
    seed_only,
    mock_data,
    one_revert_at_a_time,
    workflow_repositories,
)


def warnings(case: Case) -> tuple[str, ...]:
    """List all warnings that apply, each once."""
    return tuple(dict.fromkeys(text for warn in WARNINGS for text in warn(case)))


def _repeated(case: Case) -> Iterator[Command]:
    return (command for command in case.commands if command.entry.repeat_until is not None)
