"""Finds what a tool's output says by its structure: the code that the tool printed comes before any text.

A migration that fails because of a lock says `P3018`, and then quotes the server, whose text may be that of any other
failure. So codes are looked for first, and among them the one that the tool printed as its error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from schemas.plan import Failure

_INTRODUCED = r"(?i:\berror(?:\s+code)?\b|\bcode\b)\W{1,4}"
"""What stands before a code that a tool prints as its own: `Error: P3018`, `Error code: P1001`, `code: 'P2002'`."""


_USAGE = re.compile(
    r"unknown or unexpected option|[Uu]nknown (option|argument|command)|^\s*[Uu]sage:?(\s|$)", re.MULTILINE
)


def printed_usage(output: str) -> bool:
    """Whether a tool printed its usage: it did not understand the command, and never will."""
    return _USAGE.search(output) is not None


def known_failure(failures: Sequence[Failure], output: str) -> Failure | None:
    """Return the failure that the output shows, or None.

    1. The failure whose code comes first in the output, where a code stands as an error's code.
    2. The failure whose code comes first in the output anywhere as a word of its own.
    3. The first failure of the list whose pattern is found.
    """
    coded = {code: failure for failure in reversed(failures) for code in failure.codes}
    if coded:
        any_code = "|".join(re.escape(code) for code in coded)
        for prefix in (_INTRODUCED, r"\b"):
            found = re.search(rf"{prefix}(?P<code>{any_code})\b", output)
            if found is not None:
                return coded[found["code"]]
    return next(
        (
            failure
            for failure in failures
            if failure.pattern is not None and re.search(failure.pattern, output, re.MULTILINE)
        ),
        None,
    )
