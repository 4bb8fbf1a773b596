"""Patterns of the catalog, which are searched in what other programs print.

They are RE2's: the time of a search grows with the length of the text alone, whatever the text and the pattern are.
An engine that backtracks may take minutes for one long line, and nothing else runs meanwhile. The price: RE2 has no
lookaround and no backreference. Source: RE2's syntax, https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Self

import re2


class PatternError(ValueError):
    """The text is no pattern of RE2's."""


class Pattern:
    """A pattern that was compiled.

    Raises:
        PatternError: RE2 does not take the text.
    """

    def __init__(self, text: str) -> None:
        anywhere, in_a_line = re2.Options(), re2.Options()
        anywhere.log_errors = in_a_line.log_errors = False
        in_a_line.never_nl = True  # a negated class does not reach into the next line
        try:
            # ^ and $ are the ends of a line.
            self._anywhere = re2.compile(f"(?m){text}", anywhere)
            self._in_a_line = re2.compile(f"(?m){text}", in_a_line)
        except (re2.error, UnicodeEncodeError) as error:
            said = error.args[0] if error.args else ""
            raise PatternError(
                f"no regular expression that resetd takes: {_text(said)} (RE2: no lookaround, no backreference)"
            ) from error
        self.groups: int = self._anywhere.groups

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, text: str) -> Self:
        """The pattern, which is compiled once."""
        return cls(text)

    def matches(self, text: str) -> bool:
        """Whether the text, which may have lines, has a match; one that reaches over lines counts."""
        return self._anywhere.search(_encodable(text)) is not None

    def found_in(self, text: str) -> str | None:
        """What the last group of the first match found, or the match where the pattern has no group."""
        match = self._anywhere.search(_encodable(text))
        found: Any = match[self.groups] if match else None
        return found or None

    def first_line(self, text: str) -> str | None:
        """The first line that has a match. No match reaches over the end of a line."""
        text = _encodable(text).replace("\r\n", "\n").replace("\r", "\n")
        if not text:
            return None
        text = text.removesuffix("\n")
        match = self._in_a_line.search(text)
        if match is None:
            return None
        end = text.find("\n", match.end())
        return text[text.rfind("\n", 0, match.start()) + 1 : end if end >= 0 else len(text)]


def _encodable(text: str) -> str:
    """The text without lone surrogates, which are no characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def _text(said: object) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
