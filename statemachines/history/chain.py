"""Chains of hashes: the hash of each line covers the line and the hash before it.

Where a line was changed, taken out, put in or moved, a check of the chain finds the first line that is not as it was
written. Somebody who may write everything can write a whole new chain; only a hash that is kept elsewhere shows that
(the mark beside the backups).
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
    """A line of a chain as it was found, to be checked."""

    number: int
    content: Mapping[str, Any]
    """JSON-like; the hash covers all of it."""
    hash: str


@dataclass(frozen=True)
class Break:
    """The first line of a chain that is not as it was written, and what is wrong with it."""

    number: int
    why: str


def link(before: str, content: Mapping[str, Any]) -> str:
    """Return the hash of a line that follows the line with the hash `before`."""
    return digest({"before": before, "line": content})


def first_break(lines: Iterable[Line], *, length: int, last: str | None = None) -> Break | None:
    """Find the first line of a chain that is not as it was written; None where the whole chain is.

    The chain ought to have `length` lines, and its last line the hash `last` where that is known. `lines` come in the
    order of their numbers, which count from 1.
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
