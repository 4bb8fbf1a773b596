"""Lines that are chained by hashes: each hash covers its line and the hash before, so that nothing can be changed,
taken out, put in or moved without the next check finding the first line that is not as it was written.

Somebody who may write everything can write a whole new chain. What shows that is a hash kept elsewhere: the mark
beside the backups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from statemachines.canonical_json import digest

BEGINNING = ""
"""The hash before a chain's first line."""


@dataclass(frozen=True)
class Line:
    """A line as it was found."""

    number: int
    content: Mapping[str, Any]
    """JSON-like; all of it is covered."""
    hash: str


@dataclass(frozen=True)
class Break:
    """The first line of a chain that is not as it was written."""

    number: int
    why: str


def link(before: str, content: Mapping[str, Any]) -> str:
    """The hash of a line that follows the one with the hash `before`."""
    return digest({"before": before, "line": content})


def first_break(lines: Iterable[Line], *, length: int, last: str | None = None) -> Break | None:
    """The first flaw of a chain that ought to have `length` lines, the last one with the hash `last` (where that
    is known); None: it is whole. `lines` come in the order of their numbers, which count from 1.
    """
    before, expected = BEGINNING, 1
    for line in lines:
        if line.number != expected:
            return Break(expected, f"is missing (the next one is {line.number})")
        if line.hash != link(before, line.content):
            return Break(line.number, "is not as it was written")
        before, expected = line.hash, expected + 1
    if expected <= length:
        return Break(expected, f"is missing (there were {length})")
    if expected > length + 1:
        return Break(length + 1, f"was added (there were {length})")
    if last is not None and before != last:
        return Break(length, "is not as it was written")
    return None
