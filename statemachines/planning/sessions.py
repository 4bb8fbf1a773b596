"""Sessions in the databases of a plan that come from no known pod: which are told, and which forbid the plan."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.catalog.catalog import Catalog
from schemas.facts import DatabaseFact, SessionFact, Unreadable
from schemas.wire import kind_of
from statemachines.planning.case import Case
from statemachines.planning.commands import written
from statemachines.planning.protection import is_protected_kind

UNREAD = "sessions of "
"""How the subject of a gap begins that says whose sessions could not be read; the database's name follows."""


def databases_of(case: Case) -> Iterator[DatabaseFact]:
    """Yield each database that the plan changes once, in the order of the keys."""
    facts = {fact.key: fact for pair in written(case.commands) if (fact := case.database(*pair))}
    yield from (facts[key] for key in sorted(facts))


def unknown_sessions(case: Case, database: DatabaseFact) -> tuple[SessionFact, ...]:
    """Return the sessions in a database that come from no known pod and that the catalog does not tolerate."""
    return tuple(
        session
        for session in case.facts.sessions
        if session.key == database.key and not _is_tolerated(case, session)
    )


def unread_sessions(case: Case, database: DatabaseFact) -> Unreadable | None:
    """Return why the sessions in a database could not be read, where they could not."""
    return case.unreadable(None, f"{UNREAD}{database.name}")


def why_shared(case: Case, database: DatabaseFact) -> str | None:
    """Say why a session of nobody known may be of another environment; None where the database is this one's alone."""
    others = [user for user in case.facts.users.get(database.key, ()) if user != case.environment]
    others += [entry.label for entry in case.catalog.elsewhere if entry.uses(database.key)]
    if others:
        return f"{', '.join(others)} uses it, too"
    own = kind_of(case.environment)
    for service in case.catalog.services:
        for declared in service.databases:
            for kind, name in declared.names.items():
                if kind != own and name == database.name and is_protected_kind(kind, case.catalog):
                    return f"it has the name that a {kind} uses"
    return None


def text(session: SessionFact) -> str:
    """Describe a session for people."""
    if session.hidden:
        where = "an address that the server does not show to the service's role"
    elif session.address is None:
        where = "the database server itself"
    else:
        where = f"{session.address}{' (a node of the cluster)' if session.of_node else ''}"
    return f"{who(session.role, session.application)} from {where}"


def who(role: str, application: str) -> str:
    """Name whom a session is of."""
    return f"{role} with {application or 'no application name'}"


def is_tolerated(catalog: Catalog, role: str, application: str, *, writes: bool) -> bool:
    """Whether the catalog lets such a session be in a database. One that may write is never tolerated."""
    return not writes and any(
        (entry.role, entry.application) == (role, application) for entry in catalog.tolerated_sessions
    )


def _is_tolerated(case: Case, session: SessionFact) -> bool:
    return is_tolerated(case.catalog, session.role, session.application, writes=session.writes)
