"""What people's words about protected environments change in the facts of one plan.

- A word to `confirm` answers what can't be read of its scope. It makes the environment a user of what it says. Without
  a list of its own it answers for those databases of those services whose use is remembered, and for no other.
- It ends for a database of a service once that was seen after the word was given.
- A word to `forget` takes away what is remembered of its scope, unless that was seen again since.
- What is seen stays as it is.
- A word counts only for plans that other people asked for. Those of the requesters are kept apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from schemas.catalog.catalog import Catalog
from schemas.facts import Facts, Unreadable
from schemas.protection import (
    DATABASE_KEY,
    Assurance,
    ProtectedUse,
    RememberedUse,
    Scope,
    Word,
    WordKind,
    is_database,
)
from schemas.wire import ResourceKey
from statemachines.consent import person
from statemachines.planning.gaps import leaves_users_open, unread

Given = TypeVar("Given", bound=Word)


@dataclass(frozen=True)
class Consulted:
    """The facts as words complete them, and the words that this took."""

    facts: Facts
    used: tuple[Assurance, ...] = ()
    """Words that the plan relies on, oldest first."""
    own: tuple[Word, ...] = ()
    """Words that the plan would need, of people who asked for it."""


@dataclass(frozen=True)
class _Memory:
    """What is remembered: `seen` all of it, `counting` what nobody said to forget."""

    seen: tuple[RememberedUse, ...]
    counting: tuple[RememberedUse, ...]


def consult(
    facts: Facts, catalog: Catalog, touched: Iterable[ResourceKey], requesters: Iterable[str]
) -> Consulted:
    """Complete the facts of a plan that touches these resources and was asked for by these people."""
    asked = {person(name) for name in requesters}
    others = tuple(word for word in facts.words if person(word.given_by) not in asked)
    own = tuple(word for word in facts.words if person(word.given_by) in asked)
    keys = frozenset(touched)
    used: dict[str, Assurance] = {}
    needed: dict[str, Word] = {}

    forgotten: list[RememberedUse] = []
    for use in facts.remembered:
        if word := _forgets(others, use):
            forgotten.append(use)
            if use.key in keys:
                _rely(used, word, (use,))
        elif use.key in keys and (word := _forgets(own, use)):
            needed[word.id] = word
    remembered = tuple(use for use in facts.remembered if use not in forgotten)
    memory = _Memory(facts.remembered, remembered)
    counts = {use.key for use in remembered}
    gone = {use.key for use in forgotten} - counts

    gaps: list[Unreadable] = []
    for gap in facts.unreadable:
        answer = _answers(gap, others, memory, catalog, keys)
        if answer is None and (mine := _answers(gap, (*others, *own), memory, catalog, keys)):
            needed |= {word.id: word for word, _ in mine if word in own}
        for word, uses in answer or ():
            _rely(used, word, uses)
        ids = dict.fromkeys(word.id for word, _ in answer or ())
        gaps.append(gap.model_copy(update={"answered_by": tuple(ids)}))

    completed = facts.model_copy(
        update={
            "unreadable": tuple(gaps),
            "remembered": remembered,
            "remembered_protected": tuple(key for key in facts.remembered_protected if key not in gone),
            "users": _users(facts, used.values()),
        }
    )
    return Consulted(completed, _in_order(used), _in_order(needed))


def forgets(word: Word, use: RememberedUse) -> bool:
    """Tell whether a word takes away what is remembered. What was seen since is remembered again."""
    since = use.last_seen_at > word.given_at
    return word.kind is WordKind.FORGET and word.scope.includes(use) and not since


def seen_since(word: Word, place: Scope, remembered: Iterable[RememberedUse]) -> bool:
    """Tell whether a word to `confirm` ended for a place: that was seen after the word was given."""
    return any(place.includes(use) and use.last_seen_at > word.given_at for use in remembered)


def to_remember(facts: Facts) -> tuple[ProtectedUse, ...]:
    """Return what is seen of protected environments and has to be written down.

    A service of which something can't be read counts as not seen: what is remembered of it already is left out. Else
    each reading would end the words about the rest of it.
    """
    open_gaps = {
        (gap.environment, gap.service) for gap in facts.unreadable if gap.protected and leaves_users_open(gap)
    }
    known = {
        _without_times(use) for use in facts.remembered if not any(forgets(word, use) for word in facts.words)
    }
    return tuple(
        use
        for use in facts.protected_uses
        if use not in known or open_gaps.isdisjoint({(use.environment, use.service), (use.environment, None)})
    )


def _forgets(words: Iterable[Word], use: RememberedUse) -> Word | None:
    return next((word for word in words if forgets(word, use)), None)


def _answers(
    gap: Unreadable,
    words: Sequence[Word],
    memory: _Memory,
    catalog: Catalog,
    keys: frozenset[ResourceKey],
) -> list[tuple[Word, tuple[RememberedUse, ...]]] | None:
    """Return the words that together say all that a gap leaves open, with what each leaves to memory.

    None where something is left unsaid.
    """
    if not gap.protected or not leaves_users_open(gap):
        return None
    databases = sorted(key for key in keys if key.startswith(DATABASE_KEY))
    found: list[tuple[Word, tuple[RememberedUse, ...]]] = []
    for place in unread(gap, catalog):
        for key in databases or (None,):
            said = ((word, _says(word, place, key, memory)) for word in words)
            answer = next(((word, uses) for word, uses in said if uses is not None), None)
            if answer is None:
                return None
            found.append(answer)
    return found


def _says(
    word: Word, place: Scope, key: ResourceKey | None, memory: _Memory
) -> tuple[RememberedUse, ...] | None:
    """Return what a word leaves to memory where it says whether a place uses a resource; None where it doesn't say."""
    scope = word.scope
    about_it = (
        word.kind is WordKind.CONFIRM
        and scope.environment == place.environment
        and scope.service in {None, place.service}
        and scope.database in {None, place.database}
        and scope.key in {None, key}
    )
    if not about_it or seen_since(word, place, memory.seen):
        return None
    if word.uses is not None:
        return () if all(map(is_database, word.uses)) else None
    of_place = [use for use in memory.counting if place.includes(use)]
    of_key = [use for use in memory.counting if scope.key and scope.includes(use)]
    if not of_place or (scope.key and not of_key):
        return None
    return (*of_place, *of_key)


def _rely(used: dict[str, Assurance], word: Word, uses: Iterable[RememberedUse]) -> None:
    """Note that the plan relies on a word, which is about these uses as they are remembered."""
    so_far = used[word.id].remembered if word.id in used else ()
    means = {*so_far, *map(_without_times, uses)}
    fields = {name: getattr(word, name) for name in Word.model_fields}
    used[word.id] = Assurance(**fields, remembered=tuple(sorted(means, key=_place_and_key)))


def _without_times(use: RememberedUse) -> ProtectedUse:
    return ProtectedUse(**{name: getattr(use, name) for name in ProtectedUse.model_fields})


def _place_and_key(use: ProtectedUse) -> tuple[str, ...]:
    return (use.environment, use.service or "", use.database or "", use.key)


def _users(facts: Facts, used: Iterable[Assurance]) -> dict[ResourceKey, tuple[str, ...]]:
    users = dict(facts.users)
    for word in used:
        if word.kind is WordKind.CONFIRM:
            for key in word.uses or (use.key for use in word.remembered):
                if key in users:
                    users[key] = tuple(sorted({*users[key], word.scope.environment}))
    return users


def _in_order(words: dict[str, Given]) -> tuple[Given, ...]:
    return tuple(words[word_id] for word_id in sorted(words))
