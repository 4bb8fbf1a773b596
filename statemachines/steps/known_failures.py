"""Finds what a tool's output says by its structure: the code that the tool printed comes before any text.

A migration that fails because of a lock says `P3018`, and then quotes the server, whose text may be that of any other
failure. So codes are looked for first, and among them the one that the tool printed as its error.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from schemas.patterns import Pattern, PatternError
from schemas.plan import Failure

_INTRODUCED = r"(?i:\berror(?:\s+code)?\b|\bcode\b)\W{1,4}"
"""What stands before a code that a tool prints as its own: `Error: P3018`, `Error code: P1001`, `code: 'P2002'`."""


_PASSING_STATES = ("08", "40", "53", "57P", "55P03", "58")
"""SQLSTATEs that may be others the next time: connections, conflicts, lacking resources, a server that ends, a lock."""

_USAGE = Pattern(r"unknown or unexpected option|[Uu]nknown (option|argument|command)|^\s*[Uu]sage:?(\s|$)")


def printed_usage(output: str) -> bool:
    """Whether a tool printed its usage: it did not understand the command, and never will."""
    return _USAGE.matches(output)


def known_failure(failures: Sequence[Failure], output: str) -> Failure | None:
    """Return the failure that the output shows, or None.

    1. The failure whose code comes first in the output, where a code stands as an error's code.
    2. The failure whose code comes first in the output anywhere as a word of its own.
    3. The first failure of the list whose pattern is found. Where the tool or the server gave a code that is none of
       the list's, the text may still explain the failure, and makes it temporary no more.
    """
    coded = {code: failure for failure in reversed(failures) for code in failure.codes}
    if coded:
        any_code = "|".join(re.escape(code) for code in coded)
        for prefix in (_INTRODUCED, r"\b"):
            found = re.search(rf"{prefix}(?P<code>{any_code})\b", output)
            if found is not None:
                return coded[found["code"]]
    lasts = _has_another_code(coded, output)
    return next(
        (
            failure
            for failure in failures
            if failure.pattern is not None
            and not (lasts and failure.temporary)
            and _matches(failure.pattern, output)
        ),
        None,
    )


def _matches(pattern: str, output: str) -> bool:
    """Whether the pattern is in the output. One that no engine takes, of a plan from before, explains nothing."""
    try:
        return Pattern.of(pattern).matches(output)
    except PatternError:
        return False


def _has_another_code(coded: Collection[str], output: str) -> bool:
    """Whether the output has a code that is written like one of these, or an SQLSTATE whose cause does not pass."""
    shapes = {re.sub(r"\d", r"\\d", code) for code in coded if code.isalnum()}
    own = "|".join(sorted(shapes))
    if own and re.search(rf"{_INTRODUCED}({own})\b", output):
        return True
    found = re.search(rf"{_INTRODUCED}(?P<state>(?=\w*\d)[0-9A-Z]{{5}})\b", output)
    return found is not None and not found["state"].startswith(_PASSING_STATES)
