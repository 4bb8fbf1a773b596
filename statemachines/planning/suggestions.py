"""What an approver can say about what can't be read of a protected environment: commands that will be accepted."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.facts import Unreadable
from schemas.protection import Scope, WordKind
from statemachines.planning.case import Case
from statemachines.planning.gaps import DATABASE, databases_of

CONFIRM = "resetd protected confirm"
STATED = "--uses database/SYSTEM-IDENTIFIER/NAME (or --none)"


def how_to_confirm(gaps: Sequence[Unreadable], case: Case) -> str:
    """Write the commands that answer the gaps of one environment: with a list of databases where memory has none."""
    scopes = tuple(dict.fromkeys(_scope(gap) for gap in gaps))
    held = [scope for scope in scopes if _is_remembered(scope, case)]
    stated = [scope for scope in scopes if scope not in held]
    if len(scopes) == 1:
        said = [f"{CONFIRM} {scopes[0].text}{f' {STATED}' if stated else ''}"]
    else:
        each = f"{CONFIRM} {gaps[0].environment}/SERVICE"
        said = [f"{each} where what is remembered still holds ({_names(held)})"] if held else []
        said += [f"{each} {STATED} for {_names(stated)}"] if stated else []
    return "; ".join((*said, *_why_no_word_counts(gaps, case)))


def _scope(gap: Unreadable) -> Scope:
    database = gap.subject.removeprefix(DATABASE) if gap.subject.startswith(DATABASE) else None
    return Scope(environment=gap.environment, service=gap.service, database=database)


def _is_remembered(scope: Scope, case: Case) -> bool:
    places = databases_of(scope, case.catalog)
    return bool(places) and all(any(place.includes(use) for use in case.facts.remembered) for place in places)


def _names(scopes: Sequence[Scope]) -> str:
    return ", ".join(scope.text.partition("/")[2] or scope.text for scope in scopes)


def _why_no_word_counts(gaps: Sequence[Unreadable], case: Case) -> tuple[str, ...]:
    """Say why the words that were given do not answer, where there are any."""
    given = any(
        word.kind is WordKind.CONFIRM
        and word.scope.environment == gap.environment
        and word.scope.service in {None, gap.service}
        for word in case.facts.words
        for gap in gaps
    )
    why = (
        "a word does not count for what was seen after it was given, for what it leaves to a memory that has nothing, "
        "or for other resources than its own"
    )
    return (why,) if given else ()
