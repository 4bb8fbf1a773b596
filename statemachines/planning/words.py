"""What people's words about protected environments change in the facts of one plan.

- A word to `confirm` answers what can't be read of its scope. It makes the environment a user of what it says.
- A word to `forget` takes away what is remembered of its scope, unless that was seen again since.
- What is seen stays as it is.
- A word counts only for plans that other people asked for. Those of the requesters are kept apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from schemas.catalog.catalog import Catalog
from schemas.facts import Facts, Unreadable
from schemas.protection import DATABASE_KEY, RememberedUse, Word, WordKind
from schemas.wire import ResourceKey
from statemachines.consent import person


@dataclass(frozen=True)
class Consulted:
    """The facts as words complete them, and the words that this took."""

    facts: Facts
    used: tuple[Word, ...] = ()
    """Words that the plan relies on, oldest first."""
    own: tuple[Word, ...] = ()
    """Words that the plan would need, of people who asked for it."""


def consult(
    facts: Facts, catalog: Catalog, touched: Iterable[ResourceKey], requesters: Iterable[str]
) -> Consulted:
    """Complete the facts of a plan that touches these resources and was asked for by these people."""
    asked = {person(name) for name in requesters}
    others = tuple(word for word in facts.words if person(word.given_by) not in asked)
    own = tuple(word for word in facts.words if person(word.given_by) in asked)
    keys = frozenset(touched)
    used: dict[str, Word] = {}
    needed: dict[str, Word] = {}

    forgotten: list[RememberedUse] = []
    for use in facts.remembered:
        if word := _forgets(others, use):
            forgotten.append(use)
            if use.key in keys:
                used[word.id] = word
        elif use.key in keys and (word := _forgets(own, use)):
            needed[word.id] = word
    remembered = tuple(use for use in facts.remembered if use not in forgotten)
    counts = {use.key for use in remembered}
    gone = {use.key for use in forgotten} - counts

    gaps: list[Unreadable] = []
    for gap in facts.unreadable:
        answer = _answers(gap, others, remembered, catalog, keys)
        if answer is None and (mine := _answers(gap, (*others, *own), remembered, catalog, keys)):
            needed |= {word.id: word for word in mine if word in own}
        used |= {word.id: word for word in answer or ()}
        gaps.append(gap.model_copy(update={"answered_by": tuple(word.id for word in answer or ())}))

    completed = facts.model_copy(
        update={
            "unreadable": tuple(gaps),
            "remembered": remembered,
            "remembered_protected": tuple(key for key in facts.remembered_protected if key not in gone),
            "users": _users(facts, used.values(), remembered),
        }
    )
    return Consulted(completed, _in_order(used), _in_order(needed))


def says(word: Word, remembered: Sequence[RememberedUse]) -> tuple[ResourceKey, ...] | None:
    """Return the resources that a word to `confirm` says are in use; None where it points to memory, which is empty."""
    if word.uses is not None:
        return word.uses
    keys = tuple(dict.fromkeys(use.key for use in remembered if word.scope.includes(use)))
    return keys or None


def forgets(word: Word, use: RememberedUse) -> bool:
    """Tell whether a word takes away what is remembered. What was seen since is remembered again."""
    since = use.last_seen_at > word.given_at
    return word.kind is WordKind.FORGET and word.scope.includes(use) and not since


def _forgets(words: Iterable[Word], use: RememberedUse) -> Word | None:
    return next((word for word in words if forgets(word, use)), None)


def _answers(
    gap: Unreadable,
    words: Sequence[Word],
    remembered: Sequence[RememberedUse],
    catalog: Catalog,
    keys: frozenset[ResourceKey],
) -> tuple[Word, ...] | None:
    """Return the words that together say all that is unknown of a gap; None where something is left unsaid."""
    if not gap.protected:
        return None
    given = [
        word
        for word in words
        if word.kind is WordKind.CONFIRM
        and word.scope.environment == gap.environment
        and word.scope.service in {None, gap.service}
        and says(word, remembered) is not None
    ]
    # Which repositories are in use is known from the names of clients.
    databases = sorted(key for key in keys if key.startswith(DATABASE_KEY))
    found: dict[str, Word] = {}
    for name in _unread_databases(gap, catalog):
        for key in databases or (None,):
            word = next(
                (
                    word
                    for word in given
                    if word.scope.database in {None, name} and word.scope.key in {None, key}
                ),
                None,
            )
            if word is None:
                return None
            found[word.id] = word
    return tuple(found.values())


def _unread_databases(gap: Unreadable, catalog: Catalog) -> Iterator[str | None]:
    """Yield the catalog's name of each database that the gap leaves unknown; None where it may be any."""
    subject, _, name = gap.subject.partition(" ")
    service = catalog.service(gap.service) if gap.service else None
    if subject == "database" and name:
        yield name
    elif service is None:
        yield None
    else:
        yield from (database.name for database in service.databases)


def _users(
    facts: Facts, used: Iterable[Word], remembered: Sequence[RememberedUse]
) -> dict[ResourceKey, tuple[str, ...]]:
    users = dict(facts.users)
    for word in used:
        if word.kind is WordKind.CONFIRM:
            for key in says(word, remembered) or ():
                if key in users:
                    users[key] = tuple(sorted({*users[key], word.scope.environment}))
    return users


def _in_order(words: dict[str, Word]) -> tuple[Word, ...]:
    return tuple(words[word_id] for word_id in sorted(words))
