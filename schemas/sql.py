"""SQL in a catalog: one question, or an expression. It is put between brackets, into a statement of the daemon's.

PostgreSQL judges the rest, in a transaction that only reads. What no database is needed for is refused when the catalog
is read, and not after a wipe. Source: the lexical structure in PostgreSQL's manual, section 4.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"[^\W\d][\w$]*")
_TAG = re.compile(r"\$([^\W\d]\w*)?\$")
_QUESTIONS = ("select", "with", "values", "table")
_CHANGES = re.compile(
    r"\( (insert into|update \S+ set|update only|delete from|merge into)\b"
    r"|\binto\b|\bfor (update|share|no key|key share)\b"
)


def check_question(text: str) -> None:
    """Check that the text is one statement that reads.

    Raises:
        ValueError: it is another one, or several.
    """
    tokens = list(_tokens(text))
    first = next((word for word in tokens if word != "("), "")
    if first not in _QUESTIONS:
        raise ValueError(
            f"a query begins with SELECT, WITH, VALUES or TABLE, not with {first.upper() or 'nothing'}"
        )
    _check_brackets(tokens)
    if found := _CHANGES.search(" ".join(tokens)):
        raise ValueError(f"a query only reads: {found[0].removeprefix('( ').upper()} is in it")


def check_expression(text: str) -> None:
    """Check that the text is one expression.

    Raises:
        ValueError: it is more, or less.
    """
    _check_brackets(list(_tokens(text)))


def _check_brackets(tokens: list[str]) -> None:
    if ";" in tokens:
        raise ValueError("it is one statement, without a semicolon")
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth < 0:
            break
    if depth != 0:
        raise ValueError("its brackets do not match")


def _tokens(text: str) -> Iterator[str]:
    """Yield words in lower case and other characters; of a literal or a quoted name its quote, of a comment nothing."""
    at = 0
    while at < len(text):
        if text.startswith("--", at):
            at = _after(text, "\n", at)
        elif text.startswith("/*", at):
            at = _after_comment(text, at)
        elif tag := _TAG.match(text, at):
            yield "'"
            at = _after(text, tag[0], tag.end())
        elif text[at] in "'\"":
            yield text[at]
            at = _after_quote(text, at, escapes=False)
        elif word := _WORD.match(text, at):
            at = word.end()
            if word[0] in {"e", "E"} and text.startswith("'", at):
                yield "'"
                at = _after_quote(text, at, escapes=True)
            else:
                yield word[0].lower()
        else:
            if not text[at].isspace():
                yield text[at]
            at += 1


def _after(text: str, end: str, start: int) -> int:
    found = text.find(end, start)
    if found < 0:
        raise ValueError("a literal, a quoted name or a comment has no end")
    return found + len(end)


def _after_quote(text: str, at: int, *, escapes: bool) -> int:
    quote, at = text[at], at + 1
    while True:
        if (escapes and text.startswith("\\", at)) or text.startswith(quote * 2, at):
            at += 2
        elif text.startswith(quote, at):
            return at + 1
        elif at >= len(text):
            raise ValueError("a literal, a quoted name or a comment has no end")
        else:
            at += 1


def _after_comment(text: str, at: int) -> int:
    """Comments of this kind hold others."""
    depth = 0
    while True:
        if text.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif text.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                return at
        else:
            at += 1
            if at >= len(text):
                raise ValueError("a literal, a quoted name or a comment has no end")
