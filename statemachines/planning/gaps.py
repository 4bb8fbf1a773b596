"""What a gap, something that could not be read, leaves open of who uses which database, and how people answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.catalog.catalog import Catalog
from schemas.facts import Facts, Unreadable
from schemas.protection import Scope, WordKind
from schemas.wire import ServiceName

SEED_OF = "configured seed of "
"""How the subject of a gap begins that says whose configured seed could not be read; the step's name follows."""
LOSSES_OF = "losses of "
"""The same of what goes with a database; the catalog's name of the database follows."""
MIGRATIONS_OF = "migrations "
"""The same of the migrations that an image carries."""
DATABASE, REPOSITORY = "database ", "repository "
"""The same of a database, and of a repository; its name follows."""
CONFIRM = "resetd protected confirm"
STATED = "--uses database/SYSTEM-IDENTIFIER/NAME (or --none)"


def leaves_users_open(gap: Unreadable) -> bool:
    """Tell whether a gap leaves open who uses a database."""
    if gap.subject.startswith((MIGRATIONS_OF, SEED_OF, LOSSES_OF)):
        return False
    # Which repositories are in use is known from the names of clients.
    return gap.service is not None or not gap.subject.startswith(REPOSITORY)


def unread(gap: Unreadable, catalog: Catalog) -> Iterator[Scope]:
    """Yield each database of each service that a gap leaves unknown: of the environment where it names no service.

    A service without databases in the catalog is yielded as a whole.
    """
    names = (gap.service,) if gap.service else _expected(gap.environment, catalog)
    for name in names:
        service = catalog.service(name)
        databases = [each.name for each in service.databases] if service else []
        if gap.service and gap.subject.startswith(DATABASE):
            databases = [gap.subject.removeprefix(DATABASE)]
        for database in databases or (None,):
            yield Scope(environment=gap.environment, service=name, database=database)


def databases_of(scope: Scope, catalog: Catalog) -> tuple[Scope, ...]:
    """List each database that the catalog has of what a scope names: an environment, a service or a database."""
    names = (scope.service,) if scope.service else _expected(scope.environment, catalog)
    services = [service for name in names if (service := catalog.service(name)) is not None]
    return tuple(
        Scope(environment=scope.environment, service=ServiceName(service.name), database=each.name)
        for service in services
        for each in service.databases
        if scope.database in {None, each.name}
    )


def how_to_confirm(gaps: Sequence[Unreadable], facts: Facts, catalog: Catalog) -> str:
    """Write the commands that answer the gaps of one environment: with a list of databases where memory has none."""
    scopes = tuple(dict.fromkeys(_scope(gap) for gap in gaps))
    held = [scope for scope in scopes if _is_remembered(scope, facts, catalog)]
    stated = [scope for scope in scopes if scope not in held]
    if len(scopes) == 1:
        said = [f"{CONFIRM} {scopes[0].text}{f' {STATED}' if stated else ''}"]
    else:
        each = f"{CONFIRM} {gaps[0].environment}/SERVICE"
        said = [f"{each} where what is remembered still holds ({_names(held)})"] if held else []
        said += [f"{each} {STATED} for {_names(stated)}"] if stated else []
    return "; ".join((*said, *_why_no_word_counts(gaps, facts)))


def _scope(gap: Unreadable) -> Scope:
    database = gap.subject.removeprefix(DATABASE) if gap.subject.startswith(DATABASE) else None
    return Scope(environment=gap.environment, service=gap.service, database=database)


def _is_remembered(scope: Scope, facts: Facts, catalog: Catalog) -> bool:
    places = databases_of(scope, catalog)
    return bool(places) and all(any(place.includes(use) for use in facts.remembered) for place in places)


def _names(scopes: Sequence[Scope]) -> str:
    return ", ".join(scope.text.partition("/")[2] or scope.text for scope in scopes)


def _why_no_word_counts(gaps: Sequence[Unreadable], facts: Facts) -> tuple[str, ...]:
    """Say why the words that were given do not answer, where there are any."""
    given = any(
        word.kind is WordKind.CONFIRM
        and word.scope.environment == gap.environment
        and word.scope.service in {None, gap.service}
        for word in facts.words
        for gap in gaps
    )
    why = (
        "a word does not count for what was seen after it was given, for what it leaves to a memory that has nothing, "
        "or for other resources than its own"
    )
    return (why,) if given else ()


def _expected(environment: str, catalog: Catalog) -> tuple[ServiceName, ...]:
    """List the services that an environment may run: all but those of which the catalog says that it has none."""
    return tuple(
        ServiceName(service.name) for service in catalog.in_order if not service.is_absent_from(environment)
    )
