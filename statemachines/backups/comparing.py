"""Compares what a manifest promises with what is found in a database that its dump was restored into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.backups import Contents, Expression, SequenceRange, SequenceState

MISSING = "nothing"
"""Stands for what is not there."""


class Extent(StrEnum):
    """How much is compared."""

    DUMP = "dump"  # what a dump carries, whoever owns it
    DATABASE = "database"  # what belongs to the database itself as well: versions, owners, settings, rights


@dataclass(frozen=True)
class Difference:
    """Something that is not as the manifest says."""

    subject: str
    """`rows of public.people`, `constraint public.people.people_pkey`."""
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.found} instead of {self.expected}"


def differences(expected: Contents, found: Contents, extent: Extent = Extent.DUMP) -> tuple[Difference, ...]:
    """List all that differs, in the order in which people look: rows first.

    Expressions have to be through one round trip on both sides (`unlike_expressions`, `with_texts`).
    """
    return tuple(_differences(expected, found, extent))


def _differences(expected: Contents, found: Contents, extent: Extent) -> Iterator[Difference]:
    yield from _unequal("rows of ", expected.rows, found.rows)
    yield from _sequences(expected.sequences, found.sequences)
    if expected.large_objects != found.large_objects:
        counts = f"{expected.large_objects.count} large objects", f"{found.large_objects.count} large objects"
        other = counts if counts[0] != counts[1] else ("their contents", "others")
        yield Difference("large objects", *other)
    mine, theirs = expected.definitions, found.definitions
    yield from _same("", mine.objects, theirs.objects)
    yield from _same("expression of ", _texts(mine.expressions), _texts(theirs.expressions))
    if extent is Extent.DUMP:
        # A dump names extensions and collations without their versions: the server brings its own.
        yield from _names("extension ", expected.extensions, found.extensions)
        yield from _names("collation ", expected.collations, found.collations)
        return
    yield from _unequal("extension ", expected.extensions, found.extensions)
    yield from _unequal("collation ", expected.collations, found.collations)
    yield from _names("role ", expected.roles, found.roles)
    if expected.locale != found.locale:
        yield Difference("locale", str(expected.locale), str(found.locale))
    yield from _same("setting ", expected.settings, found.settings)
    yield from _names("grant ", expected.grants, found.grants)


def _texts(expressions: Mapping[str, Expression]) -> dict[str, str]:
    return {name: each.text for name, each in expressions.items()}


def unlike_expressions(expected: Contents, found: Contents) -> tuple[str, ...]:
    """Name the expressions that both have and that are written differently: both have to be read once more."""
    mine, theirs = expected.definitions.expressions, found.definitions.expressions
    return tuple(name for name in sorted(mine.keys() & theirs.keys()) if mine[name] != theirs[name])


def with_texts(contents: Contents, texts: Mapping[str, str]) -> Contents:
    """Return the same with other texts for these expressions."""
    expressions = {
        name: Expression(over=each.over, text=texts.get(name, each.text))
        for name, each in contents.definitions.expressions.items()
    }
    definitions = contents.definitions.model_copy(update={"expressions": expressions})
    return contents.model_copy(update={"definitions": definitions})


def _unequal(kind: str, expected: Mapping[str, object], found: Mapping[str, object]) -> Iterator[Difference]:
    """List the names that only one side has, or that have other values."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in expected or name not in found or expected[name] != found[name]:
            yield Difference(f"{kind}{name}", _text(expected, name), _text(found, name))


def _same(kind: str, expected: Mapping[str, object], found: Mapping[str, object]) -> Iterator[Difference]:
    """List the same, but for the values, which are long or may hold what nobody should read."""
    for each in _unequal(kind, expected, found):
        name = each.subject.removeprefix(kind)
        yield Difference(
            each.subject,
            "its definition" if name in expected else MISSING,
            "another one" if name in expected and name in found else "one" if name in found else MISSING,
        )


def _names(kind: str, expected: Iterable[str], found: Iterable[str]) -> Iterator[Difference]:
    yield from _unequal(kind, dict.fromkeys(expected, "one"), dict.fromkeys(found, "one"))


def _text(side: Mapping[str, object], name: str) -> str:
    return str(side[name]) if name in side else MISSING


def _sequences(
    expected: Mapping[str, SequenceRange], found: Mapping[str, SequenceRange]
) -> Iterator[Difference]:
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected:
            known, other = expected.get(name), found.get(name)
            yield Difference(
                f"sequence {name}",
                _state(known.after) if known else MISSING,
                _state(other.after) if other else MISSING,
            )
        elif not _within(expected[name], found[name].after):
            span = expected[name]
            wanted = _state(span.before)
            if span.before != span.after:
                wanted += f" to {_state(span.after)}"
            yield Difference(f"sequence {name}", wanted, _state(found[name].after))


def _within(span: SequenceRange, found: SequenceState) -> bool:
    """Whether the dump may have read this state: others may have drawn numbers while it was made.

    A state that came and went in between, as by a sequence that starts over, is not known to anybody.
    """
    if span.before == span.after:
        return found == span.before
    low, high = sorted((span.before, span.after))
    return low <= found <= high


def _state(state: SequenceState) -> str:
    return f"{state.last}{'' if state.is_called else ' (not called)'}"
